/* Any text as manifests: no crash, no leak, and either resources or a reason. */
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "gwapi/gwapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_gwapi_report report;
    struct agw_resource_set set;

    agw_gwapi_report_init(&report);
    if (agw_gwapi_load_text("f", agw_str((const char *)data, size), &set, &report) == 0)
        agw_resource_set_free(&set);
    else
        agw_check(report.texts.count[AGW_REPORT_ERROR] > 0);
    agw_gwapi_report_free(&report);
    return 0;
}
