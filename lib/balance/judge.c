#include "balance/judge.h"

static bool is_grpc(const struct agw_msg *resp)
{
    struct agw_str type = agw_headers_value(&resp->headers, AGW_HDR_CONTENT_TYPE);
    return agw_str_starts(type, AGW_STR("application/grpc")) &&
           !agw_str_starts(type, AGW_STR("application/grpc-web")); /* its status is in the body */
}

static enum agw_judgement of_status(const struct agw_headers *h)
{
    const struct agw_header *status = agw_headers_find(h, AGW_STR("grpc-status"));
    return status && agw_str_eq(status->value, AGW_STR("0")) ? AGW_JUDGED_GOOD : AGW_JUDGED_BAD;
}

enum agw_judgement agw_judge_head(const struct agw_msg *resp, bool end)
{
    if (resp->status >= 500)
        return AGW_JUDGED_BAD;
    if (!is_grpc(resp))
        return AGW_JUDGED_GOOD;
    return end ? of_status(&resp->headers) : AGW_JUDGED_NOT;
}

enum agw_judgement agw_judge_trailers(const struct agw_headers *trailers)
{
    return trailers ? of_status(trailers) : AGW_JUDGED_BAD;
}

enum agw_judgement agw_judge_close(int code)
{
    switch (code) {
    case 0:
    case AGW_ECANCELED:
    case AGW_ENOMEM:
    case AGW_ELIMIT:
        return AGW_JUDGED_NOT;
    default:
        return AGW_JUDGED_BAD;
    }
}
