/* Error codes: ours, nghttp2's and those on the wire (RFC 9113 section 7). */
#include "h2/h2_int.h"

int agw_h2_code_from_ng(int ng_error)
{
    switch (ng_error) {
    case 0:
        return 0;
    case NGHTTP2_ERR_NOMEM:
        return AGW_ENOMEM;
    case NGHTTP2_ERR_FLOODED:
        return AGW_ELIMIT;
    case NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE:
    case NGHTTP2_ERR_START_STREAM_NOT_ALLOWED:
        return AGW_EREFUSED;
    case NGHTTP2_ERR_INVALID_ARGUMENT:
        return AGW_EINVAL;
    default:
        return AGW_EPROTO;
    }
}

int agw_h2_code_from_wire(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_NO_ERROR:
        return 0;
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_STREAM_CLOSED:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
        return AGW_EPROTO;
    case NGHTTP2_REFUSED_STREAM:
        return AGW_EREFUSED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return AGW_ELIMIT;
    default:
        return AGW_ERESET;
    }
}

uint32_t agw_h2_code_to_wire(int code)
{
    switch (code) {
    case 0:
        return NGHTTP2_NO_ERROR;
    case AGW_EPROTO:
        return NGHTTP2_PROTOCOL_ERROR;
    case AGW_EREFUSED:
        return NGHTTP2_REFUSED_STREAM;
    case AGW_ELIMIT:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case AGW_ERESET:
    case AGW_ECANCELED:
    case AGW_ETIMEOUT:
    case AGW_ECLOSED:
        return NGHTTP2_CANCEL;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}
