#include "net/input.h"

/* Less room than this in the shared block and a new one is taken: a read should bring a whole small message.
 */
#define MIN_ROOM 4096

void agw_input_init(struct agw_input *in)
{
    *in = (struct agw_input){0};
}

void agw_input_free(struct agw_input *in)
{
    agw_block_unref(in->block);
    agw_input_init(in);
}

static struct agw_block *shared_block(struct agw_loop *loop)
{
    struct agw_block *b = loop->reading;
    if (b && b->refs == 1)
        b->len = 0;
    if (b && b->cap - b->len >= MIN_ROOM)
        return b;
    agw_block_unref(b);
    loop->reading = agw_block_get(&loop->blocks);
    return loop->reading;
}

/* Moves what is left into a block with room behind it. */
static int make_own(struct agw_input *in, struct agw_loop *loop, size_t room)
{
    size_t need = in->n + room;
    struct agw_block *b = need <= AGW_BLOCK_SIZE ? agw_block_get(&loop->blocks) : agw_block_new(need * 2);
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, in->p, in->n);
    b->len = (uint32_t)in->n;
    agw_block_unref(in->block);
    in->block = b;
    in->p = b->data;
    in->own = true;
    return 0;
}

static int read_into(struct agw_input *in, struct agw_conn *c, struct agw_block *b, size_t room)
{
    unsigned char *at = b->data + b->len;
    ssize_t got = agw_conn_read(c, at, room);
    if (got <= 0)
        return got == 0 ? AGW_EEOF : (int)got;
    b->len += (uint32_t)got;
    if (in->n == 0)
        in->p = at;
    in->n += (size_t)got;
    return 0;
}

int agw_input_fill(struct agw_input *in, struct agw_conn *c, size_t max)
{
    if (in->n >= max)
        return AGW_ELIMIT;
    if (in->n == 0) {
        struct agw_block *b = shared_block(c->loop);
        if (!b)
            return AGW_ENOMEM;
        if (in->block != b) {
            agw_block_unref(in->block);
            in->block = agw_block_ref(b);
        }
        in->own = false;
        return read_into(in, c, b, b->cap - b->len);
    }
    size_t room = in->block->cap - in->block->len;
    if (!in->own || room == 0) {
        int rc = make_own(in, c->loop, MIN_ROOM);
        if (rc)
            return rc;
        room = in->block->cap - in->block->len;
    }
    return read_into(in, c, in->block, room);
}

int agw_input_park(struct agw_input *in, struct agw_loop *loop)
{
    if (in->n == 0) {
        agw_input_free(in);
        return 0;
    }
    return in->own ? 0 : make_own(in, loop, 0);
}
