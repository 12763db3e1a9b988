/* What clients of gRPC that have one stream at a time share: the line, which lives as long as its client and
 * lets another thread stop it, and a stream on it with the operations that every stream has. Tags of
 * operations are the client's own numbers.
 *
 * Ownership: both are the caller's memory. Threads: the one that runs the client; agw_grpc_line_stop any. */
#ifndef AGW_XDS_GRPC_STREAM_H
#define AGW_XDS_GRPC_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/str.h"
#include "xds/grpc_late.h"

struct agw_grpc_line {
    grpc_completion_queue *queue; /* from begin to end */
    int wake;                     /* eventfd: readable once it is stopped */
    pthread_mutex_t mutex;
    grpc_call *cancel; /* under the mutex: what stop has to end */
    _Atomic bool stop;
};

struct agw_grpc_stream {
    grpc_channel *channel;
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *in; /* the message that came */
    unsigned running;     /* operations that gRPC has not given back */
    grpc_status_code status;
    grpc_slice details;
    uint64_t begin_ns;
};

/* AGW_EIO: no descriptor is left; free it all the same. */
int agw_grpc_line_init(struct agw_grpc_line *l);
void agw_grpc_line_free(struct agw_grpc_line *l);
/* On the thread that runs the client, so that gRPC's own threads inherit what this one is. */
void agw_grpc_line_begin(struct agw_grpc_line *l);
void agw_grpc_line_end(struct agw_grpc_line *l);
/* Ends the stream and wakes who waits on |wake|. AGW_EIO: nobody could be woken. */
int agw_grpc_line_stop(struct agw_grpc_line *l);

void agw_grpc_stream_begin(struct agw_grpc_stream *s);
/* A channel for this stream alone: gRPC's own ideas of when to dial again would mix with ours. |creds| is
 * taken. |more|: |count| arguments besides the common ones, at most AGW_GRPC_ARGS_MAX. AGW_ENOMEM. */
#define AGW_GRPC_ARGS_MAX 4
int agw_grpc_stream_dial(struct agw_grpc_stream *s, const char *target, grpc_channel_credentials *creds,
                         int message_max, const grpc_arg *more, size_t count);
/* |method|: static text. */
void agw_grpc_stream_call(struct agw_grpc_stream *s, struct agw_grpc_line *l, const char *method);
void agw_grpc_stream_run(struct agw_grpc_stream *s, uintptr_t tag, const grpc_op *ops, size_t count);
void agw_grpc_stream_receive(struct agw_grpc_stream *s, uintptr_t tag);
void agw_grpc_stream_await_status(struct agw_grpc_stream *s, uintptr_t tag);
/* The bytes of s->in, valid until *ret_slice is released. False: it cannot be read. */
bool agw_grpc_stream_read(struct agw_grpc_stream *s, grpc_slice *ret_slice, struct agw_str *ret_bytes);
/* When no operation runs. */
void agw_grpc_stream_close(struct agw_grpc_stream *s, struct agw_grpc_line *l);

#endif
