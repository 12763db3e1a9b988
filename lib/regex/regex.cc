#include <new>
#include <string>

#include <re2/re2.h>

extern "C" {
#include "regex/regex.h"
}

/* Bytes of RE2 programs and DFA states of one expression. Far above what a route needs; a pattern that needs
 * more would cost each request. */
static const int64_t memory_max = 1 << 20;

struct agw_regex {
    RE2 re;

    agw_regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options) {}
};

static RE2::Options options()
{
    RE2::Options o(RE2::Quiet);

    o.set_max_mem(memory_max);
    o.set_never_capture(true);
    return o;
}

static int set_error(const RE2 &re, struct agw_error *err)
{
    bool large = re.error_code() == RE2::ErrorPatternTooLarge;

    return agw_error_set(err, large ? AGW_ELIMIT : AGW_EINVAL, "regular expression: %s", re.error().c_str());
}

extern "C" int agw_regex_new(struct agw_str pattern, struct agw_regex **ret_regex, struct agw_error *err)
{
    struct agw_regex *r = nullptr;

    try {
        r = new agw_regex(re2::StringPiece(pattern.p, pattern.n), options());
        if (!r->re.ok()) {
            int rc = set_error(r->re, err);
            delete r;
            return rc;
        }
    } catch (...) {
        delete r;
        return agw_error_set(err, AGW_ENOMEM, "regular expression: %s", agw_err_text(AGW_ENOMEM));
    }
    *ret_regex = r;
    return 0;
}

extern "C" void agw_regex_free(struct agw_regex *r)
{
    delete r;
}

extern "C" bool agw_regex_full(const struct agw_regex *r, struct agw_str s)
{
    try {
        return RE2::FullMatch(re2::StringPiece(s.p, s.n), r->re);
    } catch (...) { /* no memory for the match: nothing may pass that was not seen to match */
        return false;
    }
}
