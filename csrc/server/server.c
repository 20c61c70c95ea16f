/* Creation and shutdown of a server. */
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/config.h"
#include "server/wyoming.h"

ishow_status ishow_server_create(ishow_server **out, const ishow_server_options *options, ishow_error *error) {
    *out = NULL;
    ishow_server *s = calloc(1, sizeof *s);
    if (!s) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the server.");
    ishow_handle_made();
    s->created = time(NULL);
    s->listen_fd = s->epoll = s->waker = -1;
    s->request_seconds = options->request_seconds;
    pthread_mutex_init(&s->call_lock, NULL);
    atomic_store(&s->drain_seconds, options->drain_seconds);
    s->idle_seconds = options->idle_seconds;
    s->body_bytes_max = options->body_bytes_max;
    s->connections_max = options->connections_max;
    s->connections_per_client = options->connections_per_client;
    s->sampling = options->sampling;
    s->only_health = options->only_health;
    s->compile_state = options->compile_state;
    s->compile_self = options->compile_self;
    const char *key = options->api_key && options->api_key[0] ? options->api_key : NULL;
    ishow_status status = ISHOW_OK;
    s->rules.host = ishow_strdup(options->host);
    s->rules.api_key = ishow_strdup(key);
    s->metrics = metrics_create(route_name);
    if (!s->rules.host || (key && !s->rules.api_key) || !s->metrics ||
        !names_copy(&s->rules.hosts, options->allowed_hosts, options->n_allowed_hosts) ||
        !names_copy(&s->rules.origins, options->cors_origins, options->n_cors_origins) ||
        !names_copy(&s->openai_voices, options->openai_voices, options->n_openai_voices)) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the server.");
        goto done;
    }
    s->rules.key_needed = key != NULL;
    auth_advise(key);
    if (options->web_dir && (status = assets_load(&s->assets, options->web_dir, error)) != ISHOW_OK) goto done;
    if ((status = listen_open(s, options->host, options->port, options->insecure, error)) != ISHOW_OK) goto done;
    if (options->state_dir && (status = ishow_store_open(&s->store, options->state_dir, error)) != ISHOW_OK) goto done;
    if ((status = ishow_voice_registry_create(&s->voice_registry, s->store, error)) != ISHOW_OK ||
        (status = ishow_lexicon_open(&s->lexicon, s->store, error)) != ISHOW_OK ||
        (status = tasks_create(&s->tasks, server_wake, s, error)) != ISHOW_OK ||
        (status = broadcast_workers_create(&s->broadcast_workers, s->idle_seconds, error)) != ISHOW_OK)
        goto done;
    if ((status = config_create(&s->config, s, options, error)) != ISHOW_OK) goto done;
    if ((status = http_start(s, options->connections_max, error)) != ISHOW_OK) goto done;
    if (options->wyoming_port)
        status = wyoming_start(&s->wyoming, s, options->host, options->wyoming_port, options->insecure, error);
done:
    if (status != ISHOW_OK)
        ishow_server_free(s);
    else
        *out = s;
    return status;
}

int ishow_server_port(const ishow_server *s) { return s->port; }
const char *ishow_server_url(const ishow_server *s) { return s->url; }

ishow_status ishow_server_set_voices(ishow_server *s, ishow_engine *engine, const ishow_voice_setting *voices, size_t n,
                                     ishow_error *error) {
    ishow_status status = ishow_voice_registry_load(s->voice_registry, engine, voices, n, NULL, error);
    return status ? status : ishow_lexicon_load(s->lexicon, engine, error);
}

void ishow_server_ready(ishow_server *s, ishow_engine *engine, const char *default_voice) {
    if (default_voice && strlen(default_voice) <= ID_MAX) strcpy(s->default_voice, default_voice);
    atomic_store(&s->engine, engine);
    config_poke(s->config, 0);
}

void ishow_server_join(ishow_server *s, ishow_engine *gateway, ishow_worker *worker) {
    s->gateway = gateway;
    s->worker = worker;
}

void ishow_server_reload(ishow_server *s) { config_poke(s->config, 1); }

void ishow_server_drain(ishow_server *s, double seconds) {
    if (!s->thread_runs) return;
    s->drain_until = ishow_now() + (seconds < 0 ? atomic_load(&s->drain_seconds) : seconds);
    atomic_store(&s->draining, 1);
    server_wake(s);
    pthread_join(s->thread, NULL);
    s->thread_runs = 0;
    config_stop(s->config);
    broadcast_workers_stop(s->broadcast_workers);
    tasks_stop(s->tasks);
    encoder_thread_stop(s->encoder_thread);
    wyoming_stop(s->wyoming);
    atomic_store(&s->engine, NULL);
    chats_close(s);
}

void ishow_server_free(ishow_server *s) {
    if (!s) return;
    if (s->thread_runs)
        ishow_server_drain(s, 0);
    else if (s->encoder_thread && !atomic_load(&s->draining))
        encoder_thread_stop(s->encoder_thread); /* it was started, then ishow_server_create failed */
    if (s->daemon) MHD_stop_daemon(s->daemon);
    broadcast_workers_free(s->broadcast_workers);
    tasks_free(s->tasks);
    config_free(s->config);
    wyoming_free(s->wyoming);
    encoder_thread_free(s->encoder_thread);
    ishow_voice_registry_free(s->voice_registry);
    ishow_lexicon_close(s->lexicon);
    ishow_store_close(s->store);
    assets_free(s->assets);
    metrics_free(s->metrics);
    names_free(&s->rules.hosts);
    names_free(&s->rules.origins);
    names_free(&s->openai_voices);
    free(s->rules.host);
    free(s->rules.api_key);
    pthread_mutex_destroy(&s->call_lock);
    if (s->listen_fd >= 0) close(s->listen_fd);
    if (s->epoll >= 0) close(s->epoll);
    if (s->waker >= 0) close(s->waker);
    free(s);
    ishow_handle_freed();
}
