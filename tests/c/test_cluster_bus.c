/* The connection to NATS: our declarations match libnats, and a library that cannot be used gives a clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#if __has_include(<nats/nats.h>)
#include <nats/nats.h>
#define HAS_HEADER 1
#endif

#include "cluster/bus.h"
#include "cluster/libnats.h"
#include "nats_rig.h"

static void the_declared_functions_are_those_of_the_header(void **state) {
    (void)state;
#ifdef HAS_HEADER
    /* Does not compile when the types differ. */
    const libnats real = {.options_create = natsOptions_Create,
                          .options_destroy = natsOptions_Destroy,
                          .options_url = natsOptions_SetURL,
                          .options_servers = natsOptions_SetServers,
                          .options_name = natsOptions_SetName,
                          .options_secure = natsOptions_SetSecure,
                          .options_ca = natsOptions_LoadCATrustedCertificates,
                          .options_chain = natsOptions_LoadCertificatesChain,
                          .options_credentials = natsOptions_SetUserCredentialsFromFiles,
                          .options_nkey = natsOptions_SetNKeyFromSeed,
                          .options_max_reconnect = natsOptions_SetMaxReconnect,
                          .options_reconnect_wait = natsOptions_SetReconnectWait,
                          .options_send_asap = natsOptions_SetSendAsap,
                          .options_retry = natsOptions_SetRetryOnFailedConnect,
                          .options_closed = natsOptions_SetClosedCB,
                          .connect = natsConnection_Connect,
                          .status = natsConnection_Status,
                          .flush = natsConnection_FlushTimeout,
                          .close = natsConnection_Close,
                          .destroy = natsConnection_Destroy,
                          .publish = natsConnection_Publish,
                          .subscribe = natsConnection_Subscribe,
                          .on_complete = natsSubscription_SetOnCompleteCB,
                          .unsubscribe = natsSubscription_Destroy,
                          .data = natsMsg_GetData,
                          .length = natsMsg_GetDataLength,
                          .destroy_message = natsMsg_Destroy,
                          .text = natsStatus_GetText,
                          .last_error = nats_GetLastError,
                          .request = natsConnection_Request,
                          .jetstream = natsConnection_JetStream,
                          .jetstream_destroy = jsCtx_Destroy,
                          .kv_open = js_KeyValue,
                          .kv_close = kvStore_Destroy,
                          .kv_get = kvStore_Get,
                          .kv_put = kvStore_Put,
                          .kv_create = kvStore_Create,
                          .kv_update = kvStore_Update,
                          .kv_purge = kvStore_Purge,
                          .kv_value = kvEntry_Value,
                          .kv_length = kvEntry_ValueLen,
                          .kv_revision = kvEntry_Revision,
                          .kv_entry_destroy = kvEntry_Destroy};
    (void)sizeof real; /* never called: the library is loaded at run time */
    assert_int_equal(LIBNATS_CONNECTED, NATS_CONN_STATUS_CONNECTED);
    const int ours[] = {LIBNATS_ERROR,         LIBNATS_SECURE_WANTED, LIBNATS_SECURE_REQUIRED,  LIBNATS_AUTH_FAILED,
                        LIBNATS_NOT_PERMITTED, LIBNATS_NOT_FOUND,     LIBNATS_INVALID_ARGUMENT, LIBNATS_SSL_ERROR,
                        LIBNATS_NO_RESPONDERS};
    const int theirs[] = {NATS_ERR,
                          NATS_SECURE_CONNECTION_WANTED,
                          NATS_SECURE_CONNECTION_REQUIRED,
                          NATS_CONNECTION_AUTH_FAILED,
                          NATS_NOT_PERMITTED,
                          NATS_NOT_FOUND,
                          NATS_INVALID_ARG,
                          NATS_SSL_ERROR,
                          NATS_NO_RESPONDERS};
    assert_memory_equal(ours, theirs, sizeof ours);
#else
    skip();
#endif
}

static void published_messages_are_received(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    const ishow_cluster_options options = {.url = nats.url};
    ishow_error error = {0};
    bus *one, *other;
    wire_events events = {0};
    wire_event *received = NULL;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    const wire_inbox inbox = {.events = &events, .lock = &lock, .changed = &changed};
    if (bus_open(&one, &options, "one", &error) || bus_open(&other, &options, "other", &error) ||
        bus_subscribe(one, "test.subject", inbox, NULL, &error))
        fail_msg("%s", error.message);
    for (int i = 0; i < 500 && !received; i++) {
        bus_publish(other, "test.subject", "hello", 6); /* the first message may come before the subscription */
        bus_publish(other, "test.other", "others", 7);
        usleep(20000);
        pthread_mutex_lock(&lock);
        received = wire_take(&events);
        pthread_mutex_unlock(&lock);
    }
    bus_close(other);
    bus_close(one);
    for (wire_event *e = received; e; e = e->next) assert_string_equal((const char *)e->data, "hello");
    assert_non_null(received);
    wire_drop(&(wire_events){.first = received});
    wire_drop(&events);
    nats_kill(&nats);
}

static void an_option_that_cannot_be_used_is_named(void **state) {
    (void)state;
    const ishow_cluster_options options = {.url = "nats://127.0.0.1:1", .tls_ca = "/nowhere.pem"};
    ishow_error error = {0};
    bus *b;
    assert_int_equal(bus_open(&b, &options, "one", &error), ISHOW_EIO);
    assert_string_equal(error.field, "cluster.tls_ca");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_declared_functions_are_those_of_the_header),
        cmocka_unit_test(published_messages_are_received),
        cmocka_unit_test(an_option_that_cannot_be_used_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
