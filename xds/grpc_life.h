/* Beginning and end of gRPC's use. What it does on its own threads (a handshake that is being given up, a
 * resolver) holds it open for some milliseconds after the last shutdown; a process that exits meanwhile takes
 * the libraries from under those threads. */
#ifndef AGW_XDS_GRPC_LIFE_H
#define AGW_XDS_GRPC_LIFE_H

/* The functions are the caller's, since the client has them from the loader. Any thread but gRPC's.
 *
 * Calls |init| (grpc_init). */
void agw_grpc_begin(void (*init)(void));

/* Calls |shutdown| (grpc_shutdown_blocking); the last of those who began then waits, up to 2 s, until
 * |is_initialized| (grpc_is_initialized) is 0. */
void agw_grpc_end(void (*shutdown)(void), int (*is_initialized)(void));

#endif
