#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1.h"
#include "describe.h"
#include "failmalloc.h"

struct example {
    const char *text;
    const char *expected; /* as describe() puts it; errors: the status and reason, or their beginning */
    enum agw_method to;   /* responses */
};

#define HOST "Host: a.example\r\n"
#define GET(fields) "GET / HTTP/1.1\r\n" HOST fields "\r\n"
#define POST(fields) "POST / HTTP/1.1\r\n" HOST fields "\r\n"
#define TARGET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define WITH_HOST(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"

#define PLAIN "GET / host=a.example v11 none 0 keep"

static const struct example requests[] = {
    /* start lines */
    {GET(""), PLAIN},
    {"\r\n" GET(""), PLAIN},
    {"\r\n\r\n" GET(""), PLAIN},
    {"\r\n\r\n\r\n" GET(""), "400 empty lines instead of a head"},
    {"\r" GET(""), "400 bare CR"},
    {"\n" GET(""), "400 bare LF"},
    {" " GET(""), "400 "},
    {"PATCH /a?b=c HTTP/1.1\r\n" HOST "\r\n", "PATCH /a?b=c host=a.example v11 none 0 keep"},
    {"BREW /pot HTTP/1.1\r\n" HOST "\r\n", "BREW /pot host=a.example v11 none 0 keep"},
    {"get / HTTP/1.1\r\n" HOST "\r\n", "get / host=a.example v11 none 0 keep"},
    {"M-S.E!#$%&'*+^_`|~ / HTTP/1.1\r\n" HOST "\r\n", "M-S.E!#$%&'*+^_`|~ / host=a.example v11 none 0 keep"},
    {"G@T / HTTP/1.1\r\n" HOST "\r\n", "400 malformed method"},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", "400 malformed method"},
    {"GET\r\n" HOST "\r\n", "400 malformed method"},
    {"G\x80T / HTTP/1.1\r\n" HOST "\r\n", "400 malformed method"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", "400 forbidden character in the request target"},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.1x\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / http/1.1\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/11\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.11\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / ICY/1.1\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / \r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET /\r\n" HOST "\r\n", "400 no HTTP version"},
    {"GET /\r\n\r\n", "400 no HTTP version"},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", "505 "},
    {"PRI * HTTP/2.0\r\n\r\n", "505 "},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", "505 "},
    {"GET / HTTP/0.9\r\n" HOST "\r\n", "505 "},
    {"GET / HTTP/3.0\r\n" HOST "\r\n", "505 "},
    {"GET / HTTP/1.1\rX: y\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.1\r\r\n" HOST "\r\n", "400 malformed HTTP version"},
    {"GET / HTTP/1.1\n" HOST "\r\n", "400 bare LF"},
    {"GET / HTTP/1.1\nHost: a\n\n", "400 bare LF"},
    {"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", "400 bare LF"},

    /* targets */
    {TARGET("/a/b;c=d/%7Euser?x=1&y=%20"), "GET /a/b;c=d/%7Euser?x=1&y=%20 host=a.example v11 none 0 keep"},
    {TARGET("//a"), "GET //a host=a.example v11 none 0 keep"},
    {TARGET("/?"), "GET /? host=a.example v11 none 0 keep"},
    {TARGET("/{id}|\"<>^`\\"), "GET /{id}|\"<>^`\\ host=a.example v11 none 0 keep"},
    {TARGET("/a#b"), "400 forbidden character in the request target"},
    {TARGET("/a\tb"), "400 forbidden character in the request target"},
    {TARGET("/a\x01"), "400 forbidden character in the request target"},
    {TARGET("/a\x7f"), "400 forbidden character in the request target"},
    {TARGET("/a\x80"), "400 forbidden character in the request target"},
    {TARGET("/\xc3\xbc"), "400 forbidden character in the request target"},
    {TARGET("/0123456789abcdef0123456789\x80"), "400 forbidden character in the request target"},
    {TARGET("a"), "400 malformed request target"},
    {TARGET("*"), "400 malformed request target"},
    {TARGET("?x"), "400 malformed request target"},
    {TARGET("ftp://a/"), "400 malformed request target"},
    {TARGET("http:/a/"), "400 malformed request target"},
    {TARGET("http:"), "400 malformed request target"},
    {TARGET("http://b.example/x?y"), "GET /x?y host=b.example v11 none 0 keep"},
    {TARGET("HTTPS://B.Example:8443/X"), "GET /X host=b.example:8443 v11 none 0 keep"},
    {TARGET("http://b.example"), "GET / host=b.example v11 none 0 keep"},
    {TARGET("http://b.example?q=1"), "GET /?q=1 host=b.example v11 none 0 keep"},
    {TARGET("http://[::1]:80/"), "GET / host=[::1]:80 v11 none 0 keep"},
    {TARGET("http://"), "400 malformed authority in the request target"},
    {TARGET("http:///x"), "400 malformed authority in the request target"},
    {TARGET("http://u@b/"), "400 malformed authority in the request target"},
    {TARGET("http://u:p@b/"), "400 malformed authority in the request target"},
    {TARGET("http://b:x/"), "400 malformed authority in the request target"},
    {TARGET("http://b/#f"), "400 forbidden character in the request target"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * host=a.example v11 none 0 keep"},
    {"OPTIONS http://b.example HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * host=b.example v11 none 0 keep"},
    {"OPTIONS /x HTTP/1.1\r\n" HOST "\r\n", "OPTIONS /x host=a.example v11 none 0 keep"},
    {"OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", "400 malformed request target"},
    {"CONNECT b.example:443 HTTP/1.1\r\n" HOST "\r\n",
     "CONNECT b.example:443 host=b.example:443 v11 none 0 keep"},
    {"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n" HOST "\r\n",
     "CONNECT [2001:db8::1]:443 host=[2001:db8::1]:443 v11 none 0 keep"},
    {"CONNECT b.example:443 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", "400 CONNECT with a body"},
    {"CONNECT b.example:443 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
     "400 CONNECT with a body"},
    {"CONNECT b.example HTTP/1.1\r\n" HOST "\r\n", "400 CONNECT needs host:port"},
    {"CONNECT b.example: HTTP/1.1\r\n" HOST "\r\n", "400 CONNECT needs host:port"},
    {"CONNECT /x HTTP/1.1\r\n" HOST "\r\n", "400 CONNECT needs host:port"},
    {"CONNECT http://b.example:80/ HTTP/1.1\r\n" HOST "\r\n", "400 CONNECT needs host:port"},
    {"GET b.example:443 HTTP/1.1\r\n" HOST "\r\n", "400 malformed request target"},

    /* Host */
    {WITH_HOST("A.Example:8080"), "GET / host=a.example:8080 v11 none 0 keep"},
    {WITH_HOST("10.0.0.1"), "GET / host=10.0.0.1 v11 none 0 keep"},
    {WITH_HOST("[::FFFF:1.2.3.4]"), "GET / host=[::ffff:1.2.3.4] v11 none 0 keep"},
    {WITH_HOST("a_b.example"), "GET / host=a_b.example v11 none 0 keep"},
    {WITH_HOST("a:"), "GET / host=a: v11 none 0 keep"},
    {WITH_HOST(""), "400 malformed Host"},
    {WITH_HOST(":80"), "400 malformed Host"},
    {WITH_HOST("a b"), "400 malformed Host"},
    {WITH_HOST("a,b"), "400 malformed Host"},
    {WITH_HOST("a, b"), "400 malformed Host"},
    {WITH_HOST("u@a"), "400 malformed Host"},
    {WITH_HOST("a/b"), "400 malformed Host"},
    {WITH_HOST("a?b"), "400 malformed Host"},
    {WITH_HOST("a#b"), "400 malformed Host"},
    {WITH_HOST("a\\b"), "400 malformed Host"},
    {WITH_HOST("a%00"), "400 malformed Host"},
    {WITH_HOST("a:65536"), "400 malformed Host"},
    {WITH_HOST("a:8x"), "400 malformed Host"},
    {WITH_HOST("a:-1"), "400 malformed Host"},
    {WITH_HOST("a:80:80"), "400 malformed Host"},
    {WITH_HOST("::1"), "400 malformed Host"},
    {WITH_HOST("[::1"), "400 malformed Host"},
    {WITH_HOST("[::1]x"), "400 malformed Host"},
    {WITH_HOST("[::g]"), "400 malformed Host"},
    {WITH_HOST("[]"), "400 malformed Host"},
    {WITH_HOST("[fe80::1%25eth0]"), "400 malformed Host"},
    {WITH_HOST("\xe4.example"), "400 malformed Host"},
    {WITH_HOST("a\tb"), "400 malformed Host"},
    {"GET / HTTP/1.1\r\n\r\n", "400 no Host"},
    {"GET / HTTP/1.1\r\nX: y\r\n\r\n", "400 no Host"},
    {"GET http://b/ HTTP/1.1\r\n\r\n", "400 no Host"},
    {"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400 malformed Host"},
    {GET("host: a.example\r\n"), "400 Host stands twice"},
    {GET("HOST: b\r\n"), "400 Host stands twice"},
    {"GET / HTTP/1.0\r\n\r\n", "GET / host= v10 none 0"},
    {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / host=a v10 none 0"},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 Host stands twice"},

    /* fields */
    {GET("X-A: 1\r\nx-b:2\r\nX-C:\t 3 \t\r\nX-D:\r\n"), PLAIN "[x-a: 1][x-b: 2][x-c: 3][x-d: ]"},
    {GET("X:  a  b\tc  \r\n"), PLAIN "[x: a  b\tc]"},
    {GET("X: caf\xc3\xa9 \xff\r\n"), PLAIN "[x: caf\xc3\xa9 \xff]"},
    {GET("X: a:b: c\r\n"), PLAIN "[x: a:b: c]"},
    {GET("X!#$%&'*+-.^_`|~9: v\r\n"), PLAIN "[x!#$%&'*+-.^_`|~9: v]"},
    {GET("A_Very_Long_Name_With_Underscores_And-Dashes-ABC: v\r\n"),
     PLAIN "[a_very_long_name_with_underscores_and-dashes-abc: v]"},
    {GET("ABCDEFGHIJKLMNOP: 16\r\nABCDEFGHIJKLMNO: 15\r\nABCDEFGHIJKLMNOPQ: 17\r\n"),
     PLAIN "[abcdefghijklmnop: 16][abcdefghijklmno: 15][abcdefghijklmnopq: 17]"},
    {GET("Content-Type: a\r\nCookie: b\r\nCookie: c\r\nMCP-Session-Id: d\r\n"),
     PLAIN "[content-type: a][cookie: b][cookie: c][mcp-session-id: d]"},
    {GET("Trailer: x\r\nVia: 1.1 a\r\n"), PLAIN "[trailer: x][via: 1.1 a]"},
    {GET("X : a\r\n"), "400 white space before the colon of a field"},
    {GET("X\t: a\r\n"), "400 white space before the colon of a field"},
    {GET("Content-Length : 5\r\n"), "400 white space before the colon of a field"},
    {GET(": a\r\n"), "400 a field has no name"},
    {GET("X\r\n"), "400 a field line has no colon"},
    {GET("X: a\r\n b\r\n"), "400 a line starts with white space (obs-fold)"},
    {GET("X: a\r\n\tb\r\n"), "400 a line starts with white space (obs-fold)"},
    {GET("X: a\r\n \r\n"), "400 a line starts with white space (obs-fold)"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 a line starts with white space (obs-fold)"},
    {GET("X(y): a\r\n"), "400 forbidden character in a field name"},
    {GET("X\"y: a\r\n"), "400 forbidden character in a field name"},
    {GET("X@: a\r\n"), "400 forbidden character in a field name"},
    {GET("X[: a\r\n"), "400 forbidden character in a field name"},
    {GET("X\x80: a\r\n"), "400 forbidden character in a field name"},
    {GET("X\x7f: a\r\n"), "400 forbidden character in a field name"},
    {GET("X/y: a\r\n"), "400 forbidden character in a field name"},
    {GET("X\x01y: a\r\n"), "400 forbidden character in a field name"},
    {GET("X\ry: a\r\n"), "400 a field line has no colon"},
    {GET("X: a\x01\r\n"), "400 control character in a field value"},
    {GET("X: a\x08\r\n"), "400 control character in a field value"},
    {GET("X: a\x0b\r\n"), "400 control character in a field value"},
    {GET("X: a\x1f\r\n"), "400 control character in a field value"},
    {GET("X: a\x7f\r\n"), "400 control character in a field value"},
    {GET("X: 0123456789abcdef0123456789\x02\r\n"), "400 control character in a field value"},
    {GET("X: a\rb\r\n"), "400 control character in a field value"},
    {GET("X: a\r\r\n"), "400 control character in a field value"},
    {GET("X: a\nY: b\r\n"), "400 bare LF"},
    {GET("X: a\r\n\nY: b\r\n"), "400 bare LF"},
    {GET("\r\r\n"), "400 bare CR"},
    {GET("\rX: y\r\n"), "400 bare CR"},

    /* Content-Length */
    {POST("Content-Length: 0\r\n"), "POST / host=a.example v11 none 0 keep"},
    {POST("Content-Length: 5\r\n"), "POST / host=a.example v11 length 5 keep"},
    {POST("Content-Length:   0005  \r\n"), "POST / host=a.example v11 length 5 keep"},
    {POST("content-length: 9223372036854775807\r\n"),
     "POST / host=a.example v11 length 9223372036854775807 keep"},
    {POST("Content-Length: 9223372036854775808\r\n"), "413 Content-Length is too large"},
    {POST("Content-Length: 18446744073709551621\r\n"), "413 Content-Length is too large"},
    {POST("Content-Length: 99999999999999999999999999999\r\n"), "413 Content-Length is too large"},
    {POST("Content-Length:\r\n"), "400 Content-Length is empty"},
    {POST("Content-Length: -5\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: +5\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 0x5\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5 5\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5, 5\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5,6\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5.0\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5e1\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: \"5\"\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5\xc2\xa0\r\n"), "400 Content-Length is not a number"},
    {POST("Content-Length: 5\r\nContent-Length: 5\r\n"), "400 Content-Length stands twice"},
    {POST("Content-Length: 5\r\nCONTENT-LENGTH: 6\r\n"), "400 Content-Length stands twice"},
    {GET("Content-Length: 3\r\n"), "GET / host=a.example v11 length 3 keep"},

    /* Transfer-Encoding */
    {POST("Transfer-Encoding: chunked\r\n"), "POST / host=a.example v11 chunked -1 keep"},
    {POST("Transfer-Encoding:\tCHUNKED \r\n"), "POST / host=a.example v11 chunked -1 keep"},
    {POST("Transfer-Encoding: gzip, chunked\r\n"), "501 Transfer-Encoding other than chunked"},
    {POST("Transfer-Encoding: chunked, chunked\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: chunked, gzip\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: gzip\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: identity\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: xchunked\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: chunked;q=1\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: \"chunked\"\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: chunked,\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding:\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: chun\tked\r\n"), "400 Transfer-Encoding does not end"},
    {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
     "400 Transfer-Encoding stands twice"},
    {POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), "400 Transfer-Encoding stands twice"},
    {POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
     "400 both Content-Length and Transfer-Encoding"},
    {POST("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
     "400 both Content-Length and Transfer-Encoding"},
    {POST("Transfer_Encoding: chunked\r\n"),
     "POST / host=a.example v11 none 0 keep[transfer_encoding: chunked]"},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"},

    /* Connection and what hangs on it */
    {GET("Connection: close\r\n"), "GET / host=a.example v11 none 0"},
    {GET("Connection: Keep-Alive\r\n"), PLAIN},
    {GET("Connection: keep-alive, CLOSE\r\n"), "GET / host=a.example v11 none 0"},
    {GET("Connection: a\r\nConnection: close\r\n"), "GET / host=a.example v11 none 0"},
    {GET("Connection: closed\r\n"), PLAIN},
    {GET("Connection:\r\n"), PLAIN},
    {GET("Connection: ,, ,\r\n"), PLAIN},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / host= v10 none 0 keep"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / host= v10 none 0"},
    {GET("Keep-Alive: timeout=5\r\nProxy-Connection: close\r\n"), PLAIN},
    {GET("X-Hop: 1\r\nConnection: x-HOP\r\nX-End: 2\r\n"), PLAIN "[x-end: 2]"},
    {GET("Connection: a, B\r\nA: 1\r\nb: 2\r\nc: 3\r\nB: 4\r\nConnection: C\r\n"), PLAIN},
    {GET("Connection: host, content-length, authorization, x-forwarded-for\r\nAuthorization: t\r\n"
         "Content-Length: 4\r\nX-Forwarded-For: 1.2.3.4\r\n"),
     "GET / host=a.example v11 length 4 keep[authorization: t][x-forwarded-for: 1.2.3.4]"},
    {GET("Connection: connection\r\nX: 1\r\n"), PLAIN "[x: 1]"},
    {GET("Connection: "
         "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33\r\n"),
     "400 too many options in Connection"},
    {GET("Connection: a,b,c,d,e,f,g,h,i,j,k\r\nConnection: a,b,c,d,e,f,g,h,i,j,k\r\nX: 1\r\n"
         "Connection: a,b,c,d,e,f,g,h,i,j,k\r\n"),
     "400 too many options in Connection"},
    {GET("Upgrade: websocket\r\nConnection: Upgrade\r\n"), PLAIN " upgrade=websocket"},
    {GET("Connection: keep-alive, upgrade\r\nUpgrade: a/1, b\r\nUpgrade: c\r\n"), PLAIN " upgrade=a/1, b"},
    {GET("Upgrade: h2c\r\nConnection: Upgrade\r\n"), PLAIN},
    {GET("Upgrade: websocket, H2C/1\r\nConnection: Upgrade\r\n"), PLAIN},
    {GET("Upgrade: h2cx\r\nConnection: Upgrade\r\n"), PLAIN " upgrade=h2cx"},
    {GET("Upgrade: websocket\r\n"), PLAIN},
    {POST("Transfer-Encoding: , chunked\r\n"), "400 empty element in Transfer-Encoding"},
    {GET("Connection: upgrade\r\n"), PLAIN},
    {"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "GET / host= v10 none 0"},
    {GET("TE: trailers\r\nConnection: TE\r\n"), PLAIN " te"},
    {GET("TE: deflate;q=0.5, Trailers\r\n"), PLAIN " te"},
    {GET("TE: gzip\r\n"), PLAIN},
    {POST("Expect: 100-continue\r\nContent-Length: 1\r\n"), "POST / host=a.example v11 length 1 keep expect"},
    {POST("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"),
     "POST / host=a.example v11 chunked -1 keep expect"},
    {POST("Expect: 100-continue\r\n"), "POST / host=a.example v11 none 0 keep"},
    {POST("Expect: 200-ok\r\nContent-Length: 1\r\n"), "417 Expect other than 100-continue"},
    {POST("Expect:\r\n"), "417 Expect other than 100-continue"},
    {POST("Expect: 100-continue\r\nExpect: 100-continue\r\n"), "400 Expect stands twice"},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "POST / host= v10 length 1"},

    /* not HTTP at all */
    {"\x16\x03\x01\x02\x01\x00\x01\x00\r\n\r\n", "400 a head starts with a forbidden character"},
    {"\x80\r\n\r\n", "400 "},
    {":\r\n\r\n", "400 malformed method"},
    {"A\r\n\r\n", "400 malformed method"},
    {"A B\r\n\r\n", "400 no HTTP version"},
    {"A B \r\n\r\n", "400 malformed HTTP version"},
};

#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static const struct example responses[] = {
    {OK("Content-Length: 5\r\nServer: s\r\n"), "200 \"OK\" v11 length 5 keep[server: s]"},
    {OK("Content-Length: 0\r\n"), "200 \"OK\" v11 none 0 keep"},
    {OK("Transfer-Encoding: chunked\r\n"), "200 \"OK\" v11 chunked -1 keep"},
    {OK(""), "200 \"OK\" v11 close -1"},
    {OK("Connection: close\r\nContent-Length: 1\r\n"), "200 \"OK\" v11 length 1"},
    {OK("Connection: x\r\nX: 1\r\nContent-Length: 1\r\n"), "200 \"OK\" v11 length 1 keep"},
    {OK("Host: a\r\nHost: b\r\nContent-Length: 1\r\n"), "502 Host stands twice"},
    {OK("Host: a\r\nTE: trailers\r\nExpect: x\r\nContent-Length: 1\r\n"), "200 \"OK\" v11 length 1 keep"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "200 \"OK\" v10 length 5"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
     "200 \"OK\" v10 length 5 keep"},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "502 Transfer-Encoding in HTTP/1.0"},
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", "200 \"\" v11 length 5 keep"},
    {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", "200 \"\" v11 length 5 keep"},
    {"HTTP/1.1 404 Not  Found\xe9\r\n\r\n", "404 \"Not  Found\xe9\" v11 close -1"},
    {"HTTP/1.1 599 x\r\n\r\n", "599 \"x\" v11 close -1"},
    {"HTTP/1.1 100 Continue\r\n\r\n", "100 \"Continue\" v11 none 0 keep"},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n",
     "103 \"Early Hints\" v11 none 0 keep[link: </a>]"},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", "204 \"No Content\" v11 none 0 keep"},
    {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "204 \"No Content\" v11 none 0 keep"},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "304 \"Not Modified\" v11 none 7 keep"},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", "304 \"Not Modified\" v11 none -1 keep"},
    {"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "205 \"Reset Content\" v11 none 0 keep"},
    {OK("Content-Length: 9\r\n"), "200 \"OK\" v11 none 9 keep", AGW_METHOD_HEAD},
    {OK("Transfer-Encoding: chunked\r\n"), "200 \"OK\" v11 none -1 keep", AGW_METHOD_HEAD},
    {OK(""), "200 \"OK\" v11 none -1 keep", AGW_METHOD_HEAD},
    {OK("Content-Length: 9\r\n"), "200 \"OK\" v11 tunnel -1", AGW_METHOD_CONNECT},
    {OK("Transfer-Encoding: chunked\r\n"), "200 \"OK\" v11 tunnel -1", AGW_METHOD_CONNECT},
    {"HTTP/1.1 407 x\r\nContent-Length: 9\r\n\r\n", "407 \"x\" v11 length 9 keep", AGW_METHOD_CONNECT},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
     "101 \"Switching Protocols\" v11 tunnel -1 upgrade=websocket"},
    {OK("Content-Length: 5\r\nContent-Length: 5\r\n"), "502 Content-Length stands twice"},
    {OK("Content-Length: 5, 5\r\n"), "502 Content-Length is not a number"},
    {OK("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "502 both Content-Length"},
    {OK("Transfer-Encoding: gzip, chunked\r\n"), "502 Transfer-Encoding other"},
    {OK("Transfer-Encoding: gzip\r\n"), "502 Transfer-Encoding does not"},
    {OK("X : y\r\n"), "502 white space before the colon"},
    {OK("X: y\r\n z\r\n"), "502 a line starts with white space"},
    {OK("X: y\nZ: a\r\n"), "502 bare LF"},
    {OK("X: \x01\r\n"), "502 control character"},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "502 bare LF"},
    {"HTTP/1.1 200 a\x01\r\n\r\n", "502 control character in the reason phrase"},
    {"HTTP/1.1 200 a\rb\r\n\r\n", "502 control character in the reason phrase"},
    {"HTTP/1.1 20 OK\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1 2000 OK\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1 2x0 OK\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1 -20 OK\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1  200 OK\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1\r\n\r\n", "502 malformed status code"},
    {"HTTP/1.1 099 OK\r\n\r\n", "502 status code out of range"},
    {"HTTP/1.1 000 OK\r\n\r\n", "502 status code out of range"},
    {"HTTP/1.1 600 OK\r\n\r\n", "502 status code out of range"},
    {"HTTP/2.0 200 OK\r\n\r\n", "502 HTTP version"},
    {"HTTP/1.2 200 OK\r\n\r\n", "502 HTTP version"},
    {"http/1.1 200 OK\r\n\r\n", "502 malformed HTTP version"},
    {"ICY 200 OK\r\n\r\n", "502 malformed HTTP version"},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", "502 "},
    {" HTTP/1.1 200 OK\r\n\r\n", "502 "},
    {"SSH-2.0-OpenSSH\r\n\r\n", "502 malformed HTTP version"},
    {"\r\n\r\n", "502 "},
};

/* One parse of text[0..n), in memory of exactly that size, after calls with the sizes |cuts| (ended by 0). */
struct run {
    struct agw_arena arena;
    struct agw_msg msg;
    struct agw_h1_head head;
    char text[DESCRIBE_MAX];
    int r;
};

static int parse_some(struct run *run, const char *text, size_t n, bool is_response, enum agw_method to)
{
    unsigned char *p = malloc(n ? n : 1);
    int r;

    memcpy(p, text, n);
    r = is_response ? agw_h1_parse_response(&run->head, p, n, to, &run->msg)
                    : agw_h1_parse_request(&run->head, p, n, &run->msg);
    memset(p, 'x', n); /* the message must not point here */
    free(p);
    return r;
}

static void run_start(struct run *run, const struct agw_h1_limits *limits)
{
    agw_arena_init(&run->arena, 1024, 0);
    agw_msg_init(&run->msg, &run->arena);
    agw_h1_head_init(&run->head, limits);
}

static void run_end(struct run *run, int r, bool is_response)
{
    run->r = r;
    describe(r, &run->head, &run->msg, is_response, run->text);
    agw_arena_free(&run->arena);
}

static bool fits(const char *text, const char *expected)
{
    size_t n = strlen(expected);
    bool is_error = strncmp(expected, "4", 1) == 0 || strncmp(expected, "5", 1) == 0;
    return is_error && !strchr(expected, '"') ? strncmp(text, expected, n) == 0 : strcmp(text, expected) == 0;
}

static void check_whole(const struct example *e, bool is_response, struct run *run)
{
    size_t n = strlen(e->text);

    run_start(run, NULL);
    run_end(run, parse_some(run, e->text, n, is_response, e->to), is_response);
    if (!fits(run->text, e->expected))
        fail_msg("%s\n  gave: %s\n  expected: %s", e->text, run->text, e->expected);
    if (run->r == 0)
        assert_int_equal(run->head.used, n);
    else
        assert_true(run->r == AGW_EPROTO || run->r == AGW_ELIMIT || run->r == AGW_EUNSUPPORTED);
}

/* Cut in two at every place: EAGAIN and then the same result, or a bad head's error at once. */
static void check_cuts(const struct example *e, bool is_response, const struct run *whole)
{
    size_t n = strlen(e->text);

    for (size_t cut = 0; cut < n; cut++) {
        struct run run;
        int r;
        run_start(&run, NULL);
        r = parse_some(&run, e->text, cut, is_response, e->to);
        if (r == 0)
            fail_msg("%s\n  was complete after %zu bytes", e->text, cut);
        if (r == AGW_EAGAIN)
            r = parse_some(&run, e->text, n, is_response, e->to);
        run_end(&run, r, is_response);
        if (whole->r == 0)
            assert_string_equal(run.text, whole->text);
        else
            assert_int_equal(run.head.status / 100, whole->head.status / 100);
    }
}

static void check_bytewise(const struct example *e, bool is_response, const struct run *whole)
{
    size_t n = strlen(e->text);
    struct run run;
    int r = AGW_EAGAIN;

    run_start(&run, NULL);
    for (size_t k = 0; k <= n && r == AGW_EAGAIN; k++)
        r = parse_some(&run, e->text, k, is_response, e->to);
    run_end(&run, r, is_response);
    if (whole->r == 0)
        assert_string_equal(run.text, whole->text);
    else
        assert_true(r < 0 && r != AGW_EAGAIN);
}

static void check_all(const struct example *examples, size_t n, bool is_response)
{
    for (size_t i = 0; i < n; i++) {
        struct run whole;
        check_whole(&examples[i], is_response, &whole);
        check_cuts(&examples[i], is_response, &whole);
        check_bytewise(&examples[i], is_response, &whole);
    }
}

static void test_requests(void **state)
{
    check_all(requests, AGW_ARRAY_LEN(requests), false);
}

static void test_responses(void **state)
{
    check_all(responses, AGW_ARRAY_LEN(responses), true);
}

/* NUL, which the tables cannot hold, in every byte of a head: always refused. */
static void test_nul_anywhere(void **state)
{
    static const char text[] =
        "GET /index.html HTTP/1.1\r\nHost: a.example\r\nX-Some: value and more\r\n\r\n";

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        char copy[sizeof(text)];
        struct run run;
        memcpy(copy, text, sizeof(text));
        copy[i] = '\0';
        run_start(&run, NULL);
        run_end(&run, parse_some(&run, copy, sizeof(text) - 1, false, 0), false);
        if (run.r == AGW_EAGAIN) /* the head's end is gone */
            assert_true(i >= sizeof(text) - 1 - 3);
        else
            assert_int_equal(run.head.status, 400);
        assert_true(run.r < 0);
    }
}

static void test_pipelined(void **state)
{
    static const char text[] = "\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\nGE";
    struct run run;
    size_t n = sizeof(text) - 1, used;

    run_start(&run, NULL);
    assert_int_equal(parse_some(&run, text, n, false, 0), 0);
    used = run.head.used;
    run_end(&run, 0, false);
    assert_string_equal(run.text, "GET /1 host=a v11 none 0 keep");
    run_start(&run, NULL);
    assert_int_equal(parse_some(&run, text + used, n - used, false, 0), 0);
    used += run.head.used;
    run_end(&run, 0, false);
    assert_string_equal(run.text, "GET /2 host=b v11 none 0 keep");
    run_start(&run, NULL);
    assert_int_equal(parse_some(&run, text + used, n - used, false, 0), AGW_EAGAIN);
    assert_int_equal(run.head.scanned, 2);
    agw_arena_free(&run.arena);
}

/* |unit| over and over, |n| bytes of it, between |before| and |after|; parsed whole. */
static void check_long(const char *before, char unit, size_t n, const char *after,
                       const struct agw_h1_limits *limits, int r, int status)
{
    size_t front = strlen(before), back = strlen(after);
    char *text = malloc(front + n + back);
    struct run run;

    memcpy(text, before, front);
    memset(text + front, unit, n);
    memcpy(text + front + n, after, back);
    run_start(&run, limits);
    assert_int_equal(parse_some(&run, text, front + n + back, false, 0), r);
    if (status)
        assert_int_equal(run.head.status, status);
    agw_arena_free(&run.arena);
    free(text);
}

static void test_limits(void **state)
{
    static const struct agw_h1_limits limits = {.head = 1000, .target = 100, .headers = 3};
    static const char rest[] = " HTTP/1.1\r\nHost: a\r\n\r\n";

    check_long("GET /", 'a', 99, rest, &limits, 0, 0);
    check_long("GET /", 'a', 100, rest, &limits, AGW_ELIMIT, 414);
    check_long("GET /", 'a', 2000, rest, &limits, AGW_ELIMIT, 414);
    check_long("GET /", 'a', 2000, "", &limits, AGW_ELIMIT, 414);
    check_long("GET /", 'a', 100, "", &limits, AGW_EAGAIN, 0);
    check_long("", 'A', 64, " / HTTP/1.1\r\nHost: a\r\n\r\n", &limits, 0, 0);
    check_long("", 'A', 65, " / HTTP/1.1\r\nHost: a\r\n\r\n", &limits, AGW_EUNSUPPORTED, 501);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 1000 - 32, "\r\n\r\n", &limits, 0, 0);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 1000 - 31, "\r\n\r\n", &limits, AGW_ELIMIT, 431);
    check_long("\r\nGET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 1000 - 32, "\r\n\r\n", &limits, 0, 0);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 900, "", &limits, AGW_EAGAIN, 0);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 1000 - 28, "", &limits, AGW_ELIMIT, 431);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n", 'x', 0, "\r\n", &limits, 0, 0);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\nX: y\r\n", 'x', 0, "\r\n", &limits, AGW_ELIMIT,
               431);
    check_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', agw_h1_default_limits.head, "\r\n\r\n", NULL,
               AGW_ELIMIT, 431);
    check_long("GET /", 'a', agw_h1_default_limits.target, rest, NULL, AGW_ELIMIT, 414);
    check_long("GET /", 'a', agw_h1_default_limits.target - 1, rest, NULL, 0, 0);
}

/* Every field length and offset around the 16-byte steps of the scanners, with a bad byte at every place. */
static void test_scan_steps(void **state)
{
    for (size_t n = 1; n < 70; n++) {
        for (size_t at = 0; at <= n; at++) {
            char text[512], value[80];
            struct run run;
            size_t k;
            memset(value, 'v', n);
            value[n] = '\0';
            if (at < n)
                value[at] = '\x05';
            k = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", value);
            run_start(&run, NULL);
            run_end(&run, parse_some(&run, text, k, false, 0), false);
            assert_int_equal(run.r, at < n ? AGW_EPROTO : 0);
        }
    }
}

#define LONG_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64

static void test_no_memory(void **state)
{
    static const char text[] =
        "GET http://b?" LONG " HTTP/1.1\r\nHost: a\r\nConnection: x, y\r\nX: 1\r\nA: 1\r\nB: 1\r\n"
        "C: 1\r\nD: 1\r\nE: 1\r\nF: 1\r\nG: 1\r\nH: 1\r\nI: 1\r\nJ: 1\r\nK: 1\r\nL: 1\r\n"
        "M: 1\r\nN: 1\r\nO: 1\r\nP: 1\r\nQ: 1\r\nR: 1\r\nS: 1\r\n\r\n";
    bool reached = true;

    for (long n = 1; reached; n++) {
        struct run run;
        int r;
        run_start(&run, NULL);
        agw_arena_init(&run.arena, 0, 0);
        failmalloc_at(n);
        r = agw_h1_parse_request(&run.head, (const unsigned char *)text, sizeof(text) - 1, &run.msg);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : 0);
        if (r)
            assert_int_equal(run.head.status, 503);
        agw_arena_free(&run.arena);
        assert_true(n < 100);
        assert_true(reached || n > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_responses),
        cmocka_unit_test(test_nul_anywhere), cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_scan_steps),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
