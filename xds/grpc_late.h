/* gRPC C core for the client, loaded when the first client is made: a gateway that reads files never has it
 * in memory (3 MiB with what it brings). Include this instead of gRPC's own headers; calls look the same.
 *
 * Threads: agw_grpc_load on the main thread alone; a second time does nothing. Errors: AGW_EUNSUPPORTED when
 * the library is not installed, with the loader's reason. */
#ifndef AGW_XDS_GRPC_LATE_H
#define AGW_XDS_GRPC_LATE_H

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include "base/err.h"

#define AGW_GRPC_FUNCTIONS(X)                                                                                \
    X(gpr_free)                                                                                              \
    X(gpr_inf_future)                                                                                        \
    X(gpr_now)                                                                                               \
    X(gpr_time_add)                                                                                          \
    X(gpr_time_from_nanos)                                                                                   \
    X(grpc_byte_buffer_destroy)                                                                              \
    X(grpc_byte_buffer_reader_destroy)                                                                       \
    X(grpc_byte_buffer_reader_init)                                                                          \
    X(grpc_byte_buffer_reader_readall)                                                                       \
    X(grpc_call_cancel)                                                                                      \
    X(grpc_call_cancel_with_status)                                                                          \
    X(grpc_call_start_batch)                                                                                 \
    X(grpc_call_unref)                                                                                       \
    X(grpc_channel_create)                                                                                   \
    X(grpc_channel_create_call)                                                                              \
    X(grpc_channel_credentials_release)                                                                      \
    X(grpc_channel_destroy)                                                                                  \
    X(grpc_completion_queue_create_for_next)                                                                 \
    X(grpc_completion_queue_destroy)                                                                         \
    X(grpc_completion_queue_next)                                                                            \
    X(grpc_completion_queue_shutdown)                                                                        \
    X(grpc_empty_slice)                                                                                      \
    X(grpc_header_key_is_legal)                                                                              \
    X(grpc_header_nonbin_value_is_legal)                                                                     \
    X(grpc_init)                                                                                             \
    X(grpc_insecure_credentials_create)                                                                      \
    X(grpc_is_initialized)                                                                                   \
    X(grpc_metadata_array_destroy)                                                                           \
    X(grpc_metadata_array_init)                                                                              \
    X(grpc_raw_byte_buffer_create)                                                                           \
    X(grpc_shutdown_blocking)                                                                                \
    X(grpc_slice_from_copied_buffer)                                                                         \
    X(grpc_slice_from_copied_string)                                                                         \
    X(grpc_slice_from_static_string)                                                                         \
    X(grpc_slice_to_c_string)                                                                                \
    X(grpc_slice_unref)                                                                                      \
    X(grpc_ssl_credentials_create)

struct agw_grpc {
#define X(name) __typeof__(&(name)) name##_;
    AGW_GRPC_FUNCTIONS(X)
#undef X
};

extern struct agw_grpc agw_grpc;

/* Once is enough; again is fine. */
int agw_grpc_load(struct agw_error *err);

#ifndef AGW_GRPC_LATE_OWN
#define gpr_free agw_grpc.gpr_free_
#define gpr_inf_future agw_grpc.gpr_inf_future_
#define gpr_now agw_grpc.gpr_now_
#define gpr_time_add agw_grpc.gpr_time_add_
#define gpr_time_from_nanos agw_grpc.gpr_time_from_nanos_
#define grpc_byte_buffer_destroy agw_grpc.grpc_byte_buffer_destroy_
#define grpc_byte_buffer_reader_destroy agw_grpc.grpc_byte_buffer_reader_destroy_
#define grpc_byte_buffer_reader_init agw_grpc.grpc_byte_buffer_reader_init_
#define grpc_byte_buffer_reader_readall agw_grpc.grpc_byte_buffer_reader_readall_
#define grpc_call_cancel agw_grpc.grpc_call_cancel_
#define grpc_call_cancel_with_status agw_grpc.grpc_call_cancel_with_status_
#define grpc_call_start_batch agw_grpc.grpc_call_start_batch_
#define grpc_call_unref agw_grpc.grpc_call_unref_
#define grpc_channel_create agw_grpc.grpc_channel_create_
#define grpc_channel_create_call agw_grpc.grpc_channel_create_call_
#define grpc_channel_credentials_release agw_grpc.grpc_channel_credentials_release_
#define grpc_channel_destroy agw_grpc.grpc_channel_destroy_
#define grpc_completion_queue_create_for_next agw_grpc.grpc_completion_queue_create_for_next_
#define grpc_completion_queue_destroy agw_grpc.grpc_completion_queue_destroy_
#define grpc_completion_queue_next agw_grpc.grpc_completion_queue_next_
#define grpc_completion_queue_shutdown agw_grpc.grpc_completion_queue_shutdown_
#define grpc_empty_slice agw_grpc.grpc_empty_slice_
#define grpc_header_key_is_legal agw_grpc.grpc_header_key_is_legal_
#define grpc_header_nonbin_value_is_legal agw_grpc.grpc_header_nonbin_value_is_legal_
#define grpc_init agw_grpc.grpc_init_
#define grpc_insecure_credentials_create agw_grpc.grpc_insecure_credentials_create_
#define grpc_is_initialized agw_grpc.grpc_is_initialized_
#define grpc_metadata_array_destroy agw_grpc.grpc_metadata_array_destroy_
#define grpc_metadata_array_init agw_grpc.grpc_metadata_array_init_
#define grpc_raw_byte_buffer_create agw_grpc.grpc_raw_byte_buffer_create_
#define grpc_shutdown_blocking agw_grpc.grpc_shutdown_blocking_
#define grpc_slice_from_copied_buffer agw_grpc.grpc_slice_from_copied_buffer_
#define grpc_slice_from_copied_string agw_grpc.grpc_slice_from_copied_string_
#define grpc_slice_from_static_string agw_grpc.grpc_slice_from_static_string_
#define grpc_slice_to_c_string agw_grpc.grpc_slice_to_c_string_
#define grpc_slice_unref agw_grpc.grpc_slice_unref_
#define grpc_ssl_credentials_create agw_grpc.grpc_ssl_credentials_create_
#endif

#endif
