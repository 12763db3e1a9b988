#include "xds/grpc_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "xds/grpc_life.h"

/* --- the line --- */

int agw_grpc_line_init(struct agw_grpc_line *l)
{
    pthread_mutex_init(&l->mutex, NULL);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return l->wake < 0 ? AGW_EIO : 0;
}

void agw_grpc_line_free(struct agw_grpc_line *l)
{
    pthread_mutex_destroy(&l->mutex);
    if (l->wake >= 0)
        close(l->wake);
}

void agw_grpc_line_begin(struct agw_grpc_line *l)
{
    agw_grpc_begin(grpc_init);
    l->queue = grpc_completion_queue_create_for_next(NULL);
}

void agw_grpc_line_end(struct agw_grpc_line *l)
{
    grpc_completion_queue_shutdown(l->queue);
    while (grpc_completion_queue_next(l->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(l->queue);
    agw_grpc_end(grpc_shutdown_blocking, grpc_is_initialized);
}

int agw_grpc_line_stop(struct agw_grpc_line *l)
{
    uint64_t one = 1;
    atomic_store(&l->stop, true);
    pthread_mutex_lock(&l->mutex);
    if (l->cancel)
        grpc_call_cancel(l->cancel, NULL);
    pthread_mutex_unlock(&l->mutex);
    return write(l->wake, &one, sizeof(one)) < 0 && errno != EAGAIN ? AGW_EIO : 0;
}

static void set_cancel(struct agw_grpc_line *l, grpc_call *call)
{
    pthread_mutex_lock(&l->mutex);
    l->cancel = call;
    if (call && atomic_load(&l->stop)) /* it came before there was anything to cancel */
        grpc_call_cancel(call, NULL);
    pthread_mutex_unlock(&l->mutex);
}

/* --- a stream --- */

void agw_grpc_stream_begin(struct agw_grpc_stream *s)
{
    *s = (struct agw_grpc_stream){.begin_ns = agw_clock_ns(), .details = grpc_empty_slice()};
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
}

int agw_grpc_stream_dial(struct agw_grpc_stream *s, const char *target, grpc_channel_credentials *creds,
                         int message_max, const grpc_arg *more, size_t count)
{
    grpc_arg args[6 + AGW_GRPC_ARGS_MAX] = {
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, {.integer = message_max}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = 0}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_RETRIES, {.integer = 0}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_CHANNELZ, {.integer = 0}},
    };
    agw_check(count <= AGW_GRPC_ARGS_MAX);
    if (count > 0)
        memcpy(args + 6, more, count * sizeof(*more));
    const grpc_channel_args all = {6 + count, args};
    s->channel = grpc_channel_create(target, creds, &all);
    grpc_channel_credentials_release(creds);
    return s->channel ? 0 : AGW_ENOMEM;
}

void agw_grpc_stream_call(struct agw_grpc_stream *s, struct agw_grpc_line *l, const char *method)
{
    s->call = grpc_channel_create_call(s->channel, NULL, GRPC_PROPAGATE_DEFAULTS, l->queue,
                                       grpc_slice_from_static_string(method), NULL,
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    set_cancel(l, s->call);
}

void agw_grpc_stream_run(struct agw_grpc_stream *s, uintptr_t tag, const grpc_op *ops, size_t count)
{
    s->running++;
    agw_check(grpc_call_start_batch(s->call, ops, count, (void *)tag, NULL) == GRPC_CALL_OK);
}

void agw_grpc_stream_receive(struct agw_grpc_stream *s, uintptr_t tag)
{
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &s->in};
    agw_grpc_stream_run(s, tag, &op, 1);
}

void agw_grpc_stream_await_status(struct agw_grpc_stream *s, uintptr_t tag)
{
    const grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                        .data.recv_status_on_client = {.trailing_metadata = &s->trailing,
                                                       .status = &s->status,
                                                       .status_details = &s->details}};
    agw_grpc_stream_run(s, tag, &op, 1);
}

bool agw_grpc_stream_read(struct agw_grpc_stream *s, grpc_slice *ret_slice, struct agw_str *ret_bytes)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, s->in))
        return false;
    *ret_slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    *ret_bytes = agw_str((const char *)GRPC_SLICE_START_PTR(*ret_slice), GRPC_SLICE_LENGTH(*ret_slice));
    return true;
}

void agw_grpc_stream_close(struct agw_grpc_stream *s, struct agw_grpc_line *l)
{
    set_cancel(l, NULL);
    if (s->call)
        grpc_call_unref(s->call);
    if (s->channel)
        grpc_channel_destroy(s->channel);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
}
