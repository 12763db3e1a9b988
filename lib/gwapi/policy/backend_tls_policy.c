/* BackendTLSPolicies to policies on services. */
#include <string.h>
#include "gwapi/base/secret.h"
#include "gwapi/listener/listener.h"
#include "gwapi/policy/policy.h"

/* What counts for a Service or one of its ports. */
struct agw_gwapi_backend_tls {
    struct agw_gwapi_backend_tls *next;
    struct agw_str ns, service;
    char *host;
    uint32_t port; /* 0: all that have none of their own */
    Pb__BackendPolicySpec__BackendTLS *tls;
};

/* A policy while its targets are gone through. */
struct policy {
    const struct agw_object *object;
    struct agw_gwapi_place place;
    Pb__BackendPolicySpec__BackendTLS *tls;
};

/* --- validation --- */

/* Names that the certificate may have instead of |hostname|, which is the server name only then. */
static int set_names(struct agw_translate *t, const struct agw_node *v,
                     Pb__BackendPolicySpec__BackendTLS *out)
{
    const struct agw_node *list = agw_field(v, "subjectAltNames"), *n;

    out->_hostname_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___HOSTNAME_HOSTNAME;
    out->hostname = agw_gwapi_text(t, agw_node_text(v, "hostname"));
    if (!list || list->count == 0)
        return 0;
    out->verify_subject_alt_names = agw_gwapi_pointers(t, list->count);
    if (!out->verify_subject_alt_names)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        const char *member = agw_field_is(n, "type", "URI") ? "uri" : "hostname";

        out->verify_subject_alt_names[out->n_verify_subject_alt_names++] =
            agw_gwapi_text(t, agw_node_text(n, member));
    }
    return 0;
}

/* An empty root, which the data plane answers 5xx for, stands for references that lead to nothing. */
static int set_roots(struct agw_translate *t, struct policy *p, const struct agw_node *v)
{
    const struct agw_node *refs = agw_field(v, "caCertificateRefs");
    struct agw_gwapi_refusal refusal;

    if (agw_field(v, "wellKnownCACertificates"))
        return 0;
    if (agw_gwapi_ca_refs(t, p->object, refs, "InvalidKind", &p->tls->root, &refusal))
        return AGW_ENOMEM;
    p->tls->_root_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___ROOT_ROOT;
    if (refusal.reason)
        agw_gwapi_condition(t, &p->place, refs, "ResolvedRefs", false, refusal.reason, "%.*s",
                            AGW_STRF(refusal.message));
    if (p->tls->root.len == 0)
        agw_gwapi_condition(t, &p->place, refs, "Accepted", false, "NoValidCACertificate",
                            "the backend cannot be verified: requests are refused");
    return 0;
}

/* --- targets --- */

static const struct agw_gwapi_backend_tls *find(const struct agw_translate *t, struct agw_str ns,
                                                struct agw_str service, uint32_t port)
{
    const struct agw_gwapi_backend_tls *b;

    for (b = t->backend_tls; b; b = b->next) {
        if (b->port == port && agw_str_eq(b->ns, ns) && agw_str_eq(b->service, service))
            return b;
    }
    return NULL;
}

static int put_policy(struct agw_translate *t, const struct policy *p, const struct agw_gwapi_backend_tls *b)
{
    Pb__Policy *out = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    Pb__TypedResourceName *name = agw_gwapi_new(t, Pb__TypedResourceName, pb__typed_resource_name__init);
    Pb__PolicyTarget *target = agw_gwapi_new(t, Pb__PolicyTarget, pb__policy_target__init);
    Pb__PolicyTarget__ServiceTarget *s =
        agw_gwapi_new(t, Pb__PolicyTarget__ServiceTarget, pb__policy_target__service_target__init);
    Pb__BackendPolicySpec *spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);

    if (!out || !name || !target || !s || !spec)
        return AGW_ENOMEM;
    out->key = agw_gwapi_printf(t, "backendtls/%.*s/%.*s/%.*s/%u", AGW_STRF(p->object->ns),
                                AGW_STRF(p->object->name), AGW_STRF(b->service), b->port);
    name->kind = agw_gwapi_text(t, p->object->kind_name);
    name->namespace_ = agw_gwapi_text(t, p->object->ns);
    name->name = agw_gwapi_text(t, p->object->name);
    out->name = name;
    s->namespace_ = agw_gwapi_text(t, b->ns);
    s->hostname = b->host;
    if (b->port) {
        s->_port_case = PB__POLICY_TARGET__SERVICE_TARGET___PORT_PORT;
        s->port = b->port;
    }
    target->kind_case = PB__POLICY_TARGET__KIND_SERVICE;
    target->service = s;
    out->target = target;
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS;
    spec->backend_tls = p->tls;
    out->kind_case = PB__POLICY__KIND_BACKEND;
    out->backend = spec;
    return agw_gwapi_put(t, AGW_RESOURCE_POLICY, out, NULL);
}

/* The number of the Service's port |section|; 0 when it has none of that name. */
static uint32_t port_named(const struct agw_object *service, struct agw_str section)
{
    const struct agw_node *p;

    agw_node_each (p, agw_field(service->spec, "ports")) {
        if (agw_str_eq(agw_node_text(p, "name"), section))
            return (uint32_t)agw_field_int(p, "port", 0);
    }
    return 0;
}

static void not_accepted(struct agw_translate *t, const struct policy *p, const struct agw_node *ref,
                         const char *reason, const char *what)
{
    agw_gwapi_condition(t, &p->place, ref, "Accepted", false, reason, "%s", what);
}

static int add_target(struct agw_translate *t, const struct policy *p, const struct agw_node *ref)
{
    struct agw_str name = agw_node_text(ref, "name"), section = agw_node_text(ref, "sectionName");
    const struct agw_object *service = agw_objects_get(t->objects, AGW_KIND_SERVICE, p->object->ns, name);
    struct agw_gwapi_backend_tls *b = agw_arena_zalloc(&t->arena, sizeof(*b));

    if (!b)
        return AGW_ENOMEM;
    if (agw_node_text(ref, "group").n || !agw_field_is(ref, "kind", "Service")) {
        not_accepted(t, p, ref, "Invalid", "only Services can be its targets");
        return 0;
    }
    if (!service) {
        not_accepted(t, p, ref, "TargetNotFound", "there is no such Service");
        return 0;
    }
    b->port = section.n ? port_named(service, section) : 0;
    if (section.n && !b->port) {
        not_accepted(t, p, ref, "TargetNotFound", "the Service has no port of this name");
        return 0;
    }
    if (find(t, p->object->ns, name, b->port)) {
        not_accepted(t, p, ref, "Conflicted", "an older policy has the same target");
        return 0;
    }
    b->ns = p->object->ns;
    b->service = name;
    b->host = agw_gwapi_host(t, service);
    b->tls = p->tls;
    b->next = t->backend_tls;
    t->backend_tls = b;
    return put_policy(t, p, b);
}

static int add_policy(struct agw_translate *t, const struct agw_object *o)
{
    const struct agw_node *v = agw_field(o->spec, "validation"), *ref;
    struct policy p = {.object = o, .place = {.object = o, .parent = -1}};

    p.tls = agw_gwapi_new(t, Pb__BackendPolicySpec__BackendTLS, pb__backend_policy_spec__backend_tls__init);
    if (!p.tls || set_names(t, v, p.tls) || set_roots(t, &p, v))
        return AGW_ENOMEM;
    agw_node_each (ref, agw_field(o->spec, "targetRefs")) {
        if (add_target(t, &p, ref))
            return AGW_ENOMEM;
    }
    return 0;
}

int agw_gwapi_backend_tls_policies(struct agw_translate *t)
{
    const struct agw_object *o;

    agw_objects_each(o, t->objects, AGW_KIND_BACKEND_TLS_POLICY)
    {
        if (add_policy(t, o))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- the client certificate --- */

/* The policy for the reference's port, or for the whole Service. */
static const struct agw_gwapi_backend_tls *policy_for(const struct agw_translate *t,
                                                      const Pb__BackendReference *ref)
{
    const struct agw_gwapi_backend_tls *b, *whole = NULL;

    if (!ref || ref->kind_case != PB__BACKEND_REFERENCE__KIND_SERVICE)
        return NULL;
    for (b = t->backend_tls; b; b = b->next) {
        if (!agw_str_eq(b->ns, agw_str_c(ref->service->namespace_)) ||
            strcmp(b->host, ref->service->hostname) != 0)
            continue;
        if (b->port == ref->port)
            return b;
        if (b->port == 0)
            whole = b;
    }
    return whole;
}

/* Adds |tls| to the policies of |b|, before which nothing comes that is said of the Service. */
static int add_tls(struct agw_translate *t, Pb__RouteBackend *b, Pb__BackendPolicySpec__BackendTLS *tls)
{
    Pb__BackendPolicySpec *spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
    Pb__BackendPolicySpec **list = agw_gwapi_pointers(t, b->n_backend_policies + 1);

    if (!spec || !list)
        return AGW_ENOMEM;
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS;
    spec->backend_tls = tls;
    for (size_t i = 0; i < b->n_backend_policies; i++)
        list[i] = b->backend_policies[i];
    list[b->n_backend_policies++] = spec;
    b->backend_policies = list;
    return 0;
}

/* |b| with the policy |tls| and the Gateway's certificate in it: what a reference says itself comes first. */
static Pb__RouteBackend *with_cert(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                                   const Pb__RouteBackend *b, const Pb__BackendPolicySpec__BackendTLS *tls)
{
    Pb__RouteBackend *out = agw_arena_copy(&t->arena, b, sizeof(*b));
    Pb__BackendPolicySpec__BackendTLS *own = agw_arena_copy(&t->arena, tls, sizeof(*tls));

    if (!out || !own)
        return NULL;
    own->_cert_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___CERT_CERT;
    own->cert = g->client_cert;
    own->_key_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___KEY_KEY;
    own->key = g->client_key;
    return add_tls(t, out, own) ? NULL : out;
}

int agw_gwapi_show_client_cert(struct agw_translate *t, const struct agw_gwapi_gateway *g, Pb__Route *route,
                               Pb__Route **ret_route)
{
    Pb__Route *out = route;

    *ret_route = route;
    if (g->client_cert.len == 0 || !t->backend_tls || route->n_backends == 0)
        return 0;
    out = agw_arena_copy(&t->arena, route, sizeof(*route));
    if (!out || !(out->backends = agw_gwapi_pointers(t, route->n_backends)))
        return AGW_ENOMEM;
    for (size_t i = 0; i < route->n_backends; i++) {
        const struct agw_gwapi_backend_tls *b = policy_for(t, route->backends[i]->backend);

        out->backends[i] = b ? with_cert(t, g, route->backends[i], b->tls) : route->backends[i];
        if (!out->backends[i])
            return AGW_ENOMEM;
    }
    *ret_route = out;
    return 0;
}

/* --- without a policy --- */

bool agw_gwapi_has_tls(const struct agw_translate *t, const Pb__BackendReference *ref)
{
    return policy_for(t, ref) != NULL;
}

int agw_gwapi_default_tls(struct agw_translate *t, Pb__RouteBackend *b)
{
    Pb__BackendPolicySpec__BackendTLS *tls;

    if (policy_for(t, b->backend))
        return 0;
    tls = agw_gwapi_new(t, Pb__BackendPolicySpec__BackendTLS, pb__backend_policy_spec__backend_tls__init);
    if (!tls)
        return AGW_ENOMEM;
    tls->_hostname_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___HOSTNAME_HOSTNAME;
    tls->hostname = b->backend->service->hostname;
    return add_tls(t, b, tls);
}
