/* The metrics page as text, for the tests. */
#ifndef TEST_TELEMETRY_PAGE_H
#define TEST_TELEMETRY_PAGE_H

#include "telemetry/metrics.h"

/* All of it, NUL-terminated, from malloc. */
char *page_of(struct agw_metrics_registry *r);
/* The value of the line that starts with |series| and a space; -1 when there is no such line. */
double value_of(struct agw_metrics_registry *r, const char *series);

#endif
