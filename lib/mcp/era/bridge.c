#include "mcp/era/bridge.h"

#include "mcp/era/era_int.h"

static void free_all(struct agw_mcp *m)
{
    agw_mcp_callers_free(m);
    agw_mcp_eras_free(m);
    agw_mcp_standings_free(m);
    agw_mcp_errands_free(m);
    agw_mcp_slots_free(&m->parked);
    agw_mcp_slots_free(&m->answering);
    agw_mcp_slots_free(&m->rounds);
}

static const struct agw_mcp_bridge bridge = {.cross = agw_mcp_cross,
                                             .pending = agw_mcp_cross_pending,
                                             .cancel = agw_mcp_cross_cancel,
                                             .release = agw_mcp_cross_free,
                                             .doubt = agw_mcp_era_seems_over,
                                             .ended = agw_mcp_ended_add,
                                             .free = free_all};

void agw_mcp_bridge_eras(struct agw_mcp *m)
{
    agw_mcp_callers_init(m);
    agw_mcp_standings_init(m);
    agw_list_init(&m->errands);
    m->bridge = &bridge;
}
