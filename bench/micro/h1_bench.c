/* Nanoseconds an operation of the HTTP/1.1 codec takes: heads parsed and written, chunked bodies read. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "h1/h1.h"

#define ROUNDS 7 /* the fastest counts: others were disturbed */
#define REPEAT 200000

static const char request[] =
    "GET /api/v1/items?limit=20&after=8f14e45f HTTP/1.1\r\n"
    "Host: gateway.example.com:8080\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    "X-Request-Id: 5f0c6c52-8ae9-4c41-9d5e-1f1f6f0e3f6a\r\n"
    "Connection: keep-alive\r\n\r\n";
static const char small_request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 02:56:45 GMT\r\n"
                               "Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n"
                               "Last-Modified: Tue, 24 Nov 2026 02:00:00 GMT\r\nConnection: keep-alive\r\n"
                               "ETag: \"65601f1c-400\"\r\nAccept-Ranges: bytes\r\n\r\n";
static const char chunked[] = "400\r\n%1024s\r\n400\r\n%1024s\r\n5\r\nhello\r\n0\r\n\r\n";

struct bench {
    struct agw_arena arena;
    struct agw_block_pool pool;
    struct agw_msg msg;
    const char *text;
    size_t n;
    bool is_response;
};

static void parse(struct bench *b)
{
    struct agw_h1_head head;
    int r;

    agw_arena_reset(&b->arena);
    agw_msg_init(&b->msg, &b->arena);
    agw_h1_head_init(&head, NULL);
    r = b->is_response
            ? agw_h1_parse_response(&head, (const unsigned char *)b->text, b->n, AGW_METHOD_GET, &b->msg)
            : agw_h1_parse_request(&head, (const unsigned char *)b->text, b->n, &b->msg);
    if (r < 0)
        abort();
}

static void write_out(struct bench *b)
{
    struct agw_chain out;
    enum agw_h1_framing framing;
    int r;

    agw_chain_init(&out);
    r = b->is_response ? agw_h1_write_response(&out, &b->pool, &b->msg, false, AGW_HTTP_11, AGW_METHOD_GET,
                                               true, &framing)
                       : agw_h1_write_request(&out, &b->pool, &b->msg, true, true, &framing);
    if (r < 0)
        abort();
    agw_chain_clear(&out);
}

static void read_body(struct bench *b)
{
    struct agw_h1_head head = {.framing = AGW_H1_CHUNKED};
    struct agw_h1_body body;
    const unsigned char *p = (const unsigned char *)b->text;
    size_t n = b->n, used, at, length;
    int r;

    agw_h1_body_init(&body, &head, AGW_LENGTH_UNKNOWN, &b->arena);
    while ((r = agw_h1_body_next(&body, p, n, &used, &at, &length)) == AGW_H1_DATA) {
        p += used;
        n -= used;
    }
    if (r != AGW_H1_END)
        abort();
}

static void measure(const char *name, struct bench *b, void (*step)(struct bench *))
{
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = agw_clock_ns(), spent;
        for (int i = 0; i < REPEAT; i++)
            step(b);
        spent = agw_clock_ns() - start;
        best = spent < best ? spent : best;
    }
    printf("%-28s %5zu bytes %8.1f ns\n", name, b->n, (double)best / REPEAT);
}

int main(void)
{
    static char body[4096];
    struct bench b = {0};

    agw_arena_init(&b.arena, 4096, 0);
    agw_block_pool_init(&b.pool, 4);
    b.text = request, b.n = sizeof(request) - 1;
    measure("parse request, 8 fields", &b, parse);
    measure("write request, 8 fields", &b, write_out);
    b.text = small_request, b.n = sizeof(small_request) - 1;
    measure("parse request, 1 field", &b, parse);
    measure("write request, 1 field", &b, write_out);
    b.text = response, b.n = sizeof(response) - 1, b.is_response = true;
    measure("parse response, 8 fields", &b, parse);
    measure("write response, 8 fields", &b, write_out);
    b.n = (size_t)snprintf(body, sizeof(body), chunked, "", "");
    b.text = body;
    measure("read body, 3 chunks", &b, read_body);
    agw_block_pool_free(&b.pool);
    agw_arena_free(&b.arena);
    return 0;
}
