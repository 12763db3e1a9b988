#include "mcp/message/session.h"

#include "base/check.h"

#define FORMAT 2
#define HEAD_SIZE 11  /* format, version, u64 time, count */
#define PEER_FIXED 12 /* flags, version, caps, u64 pin, length */
enum { PRESENT = 1, UUID = 2, PINNED = 4 };

static const struct agw_str version_texts[] = {{"", 0},
#define X(name, text) {text, sizeof(text) - 1},
                                               AGW_MCP_VERSION_LIST(X)
#undef X
};

enum agw_mcp_version agw_mcp_version_parse(struct agw_str text)
{
    for (size_t i = 1; i < AGW_ARRAY_LEN(version_texts); i++)
        if (agw_str_eq(version_texts[i], text))
            return (enum agw_mcp_version)i;
    return AGW_MCP_VERSION_NONE;
}

struct agw_str agw_mcp_version_text(enum agw_mcp_version v)
{
    return version_texts[v];
}

static uint64_t fnv(uint64_t h, struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

#define FNV_START 14695981039346656037u

/* What a session is bound to: the backend and its targets in order. */
static struct agw_str context_of(const struct agw_backend *b, struct agw_arena *arena)
{
    uint64_t h = FNV_START;
    for (uint32_t i = 0; i < b->mcp->count; i++)
        h = fnv(fnv(h, b->mcp->targets[i].name), AGW_STR("\n"));
    return agw_arena_printf(arena, "mcp %.*s %u %016llx", AGW_STRF(b->key), b->mcp->count,
                            (unsigned long long)h);
}

/* --- bytes --- */

static unsigned char *put_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *p++ = (unsigned char)(v >> (8 * i));
    return p;
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

/* A lower-case UUID goes as 16 bytes: most targets' ids are one, and our id must stay small. */
static bool uuid_pack(struct agw_str s, unsigned char out[16])
{
    size_t n = 0;
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < 36; i += 2) {
        if (is_dash(i)) {
            if (s.p[i] != '-')
                return false;
            i++;
        }
        int high = hex_digit(s.p[i]), low = hex_digit(s.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[n++] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static void uuid_unpack(const unsigned char in[16], char out[36])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (is_dash(at))
            out[at++] = '-';
        out[at++] = digits[in[i] >> 4];
        out[at++] = digits[in[i] & 15];
    }
}

static unsigned char *pack_peer(unsigned char *p, const struct agw_mcp_peer *peer)
{
    unsigned char uuid[16];
    bool compact = uuid_pack(peer->sid, uuid);
    *p++ = (unsigned char)((peer->present ? PRESENT : 0) | (compact ? UUID : 0) | (peer->pin ? PINNED : 0));
    if (!peer->present)
        return p;
    *p++ = (unsigned char)peer->version;
    *p++ = peer->caps;
    if (peer->pin)
        p = put_u64(p, peer->pin);
    if (compact) {
        memcpy(p, uuid, sizeof uuid);
        return p + sizeof uuid;
    }
    *p++ = (unsigned char)(peer->sid.n & 0xff);
    *p++ = (unsigned char)(peer->sid.n >> 8);
    if (peer->sid.n)
        memcpy(p, peer->sid.p, peer->sid.n);
    return p + peer->sid.n;
}

struct reader {
    const unsigned char *p, *end;
    struct agw_arena *arena;
};

static const unsigned char *take(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n)
        return NULL;
    r->p += n;
    return r->p - n;
}

static int read_sid(struct reader *r, bool compact, struct agw_str *ret_sid)
{
    const unsigned char *p = take(r, compact ? 16 : 2);
    if (!p)
        return AGW_EINVAL;
    if (compact) {
        char *text = agw_arena_alloc(r->arena, 36);
        if (!text)
            return AGW_ENOMEM;
        uuid_unpack(p, text);
        *ret_sid = agw_str(text, 36);
        return 0;
    }
    size_t n = (size_t)p[0] | (size_t)p[1] << 8;
    if (!(p = take(r, n)))
        return AGW_EINVAL;
    *ret_sid = agw_str((const char *)p, n);
    return 0;
}

static int read_peer(struct reader *r, struct agw_mcp_peer *peer)
{
    const unsigned char *p = take(r, 1);
    if (!p)
        return AGW_EINVAL;
    unsigned flags = *p;
    *peer = (struct agw_mcp_peer){.present = flags & PRESENT};
    if (!peer->present)
        return 0;
    if (!(p = take(r, 2)) || p[0] > AGW_MCP_MODERN)
        return AGW_EINVAL;
    peer->version = (enum agw_mcp_version)p[0];
    peer->caps = p[1];
    if (flags & PINNED) {
        if (!(p = take(r, 8)))
            return AGW_EINVAL;
        peer->pin = get_u64(p);
    }
    return read_sid(r, flags & UUID, &peer->sid);
}

/* The text was authenticated: what does not fit here was sealed by another release. */
static int unpack(const unsigned char *p, size_t n, uint32_t count, struct agw_arena *arena,
                  struct agw_mcp_session *ret_session)
{
    struct reader r = {p, p + n, arena};
    const unsigned char *head = take(&r, HEAD_SIZE);
    if (!head || head[0] != FORMAT || head[10] != count || head[1] > AGW_MCP_LEGACY_NEWEST)
        return AGW_EINVAL;
    struct agw_mcp_session s = {
        .version = (enum agw_mcp_version)head[1], .issued_s = get_u64(head + 2), .count = count};
    s.peers = agw_arena_zalloc(arena, count * sizeof *s.peers);
    if (!s.peers)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int rc = read_peer(&r, &s.peers[i]);
        if (rc != 0)
            return rc;
    }
    s.client = agw_str((const char *)r.p, (size_t)(r.end - r.p));
    *ret_session = s;
    return 0;
}

/* --- sealing --- */

static int seal(const struct agw_seal *key, const struct agw_backend *b, const struct agw_mcp_session *s,
                struct agw_str client, struct agw_arena *arena, struct agw_str *ret_id)
{
    size_t most = HEAD_SIZE + client.n, n;
    agw_check(s->count == b->mcp->count && s->count <= UINT8_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->peers[i].sid.n > AGW_MCP_SID_MAX)
            return AGW_ELIMIT;
        most += PEER_FIXED + 16 + s->peers[i].sid.n;
    }
    struct agw_str context = context_of(b, arena);
    unsigned char *plain = agw_arena_alloc(arena, most);
    if (!plain || !context.p)
        return AGW_ENOMEM;
    plain[0] = FORMAT;
    plain[1] = (unsigned char)s->version;
    put_u64(plain + 2, s->issued_s);
    plain[10] = (unsigned char)s->count;
    unsigned char *p = plain + HEAD_SIZE;
    for (uint32_t i = 0; i < s->count; i++)
        p = pack_peer(p, &s->peers[i]);
    if (client.n)
        memcpy(p, client.p, client.n);
    p += client.n;
    n = (size_t)(p - plain);
    if (AGW_SEAL_SIZE(n) > AGW_MCP_SESSION_MAX)
        return AGW_ELIMIT;
    char *text = agw_arena_alloc(arena, AGW_SEAL_SIZE(n));
    if (!text)
        return AGW_ENOMEM;
    int rc = agw_seal_close(key, agw_str((const char *)plain, n), context, text, &n);
    if (rc == 0)
        *ret_id = agw_str(text, n);
    return rc;
}

int agw_mcp_session_seal(const struct agw_seal *key, const struct agw_backend *b,
                         const struct agw_mcp_session *s, struct agw_arena *arena, struct agw_str *ret_id)
{
    int rc = seal(key, b, s, s->client, arena, ret_id);
    return rc == AGW_ELIMIT && s->client.n ? seal(key, b, s, AGW_STR(""), arena, ret_id) : rc;
}

int agw_mcp_session_open(const struct agw_seal *key, const struct agw_backend *b, struct agw_str id,
                         struct agw_arena *arena, struct agw_mcp_session *ret_session)
{
    size_t n;
    if (id.n == 0 || id.n > AGW_MCP_SESSION_MAX)
        return AGW_ENOTFOUND;
    struct agw_str context = context_of(b, arena);
    unsigned char *plain = agw_arena_alloc(arena, id.n);
    if (!plain || !context.p)
        return AGW_ENOMEM;
    int rc = agw_seal_open(key, id, context, plain, id.n, &n);
    if (rc == 0)
        rc = unpack(plain, n, b->mcp->count, arena, ret_session);
    return rc == 0 || rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
}
