/* The status of a gateway's cluster, and draining of workers and gateways. Other servers have no such
 * endpoints. */
#include "server/internal.h"

static int is_gateway(exchange *x) {
    return x->server->gateway
               ? 1
               : ishow_fault_set(&x->fault, 404, "not_found", "", "This server is no gateway of a cluster.");
}

enum MHD_Result answer_cluster(exchange *x) {
    ishow_buffer body = {0}, chats = {0};
    if (!is_gateway(x)) return respond_fault(x);
    chats_write(x->server, &chats);
    ishow_buffer_add(&chats, "", 1);
    ishow_gateway_status(x->server->gateway, chats.failed ? "[]" : (const char *)chats.data, &body);
    ishow_buffer_free(&chats);
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_cluster_drain(exchange *x) {
    ishow_buffer none = {0};
    ishow_error error = {0};
    if (!is_gateway(x)) return respond_fault(x);
    if (ishow_gateway_drain(x->server->gateway, x->segment, &error) != ISHOW_OK) {
        ishow_fault_from_error(&x->fault, &error);
        return respond_fault(x);
    }
    return respond(x, 204, NULL, &none);
}
