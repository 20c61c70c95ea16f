/* ishowtts-server: creates interpreter, engine and HTTP server, and frees them in order.
 *
 * The interpreter reads the configuration first (a tenth of a second, without torch); then the port is opened and
 * health is answered; only then is the model loaded. The interpreter is created and ended on the main thread. Signal
 * handlers only write to a pipe; signals are not blocked, because the compiler process would inherit the mask. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "bridge/bridge.h"
#include "cluster/cluster.h"
#include "base/defaults.h"
#include "server/notify.h"
#include "server/server.h"
#include "service/settings.h"

enum { EXIT_USAGE = 2, OVERRIDES_MAX = 64, ARENAS = 2, OWN_PAGES_BYTES = 1 << 18 };

typedef struct arguments {
    const char *config;
    char *overrides[OVERRIDES_MAX]; /* owned */
    size_t n_overrides;
} arguments;

static const char usage[] =
    "Usage: ishowtts-server [--config FILE] [--host NAME] [--port N] [--wyoming N] [--set SECTION.KEY=VALUE]... "
    "[--verbose]\n"
    "       ishowtts-server --version | --help\n"
    "Serves speech over HTTP. Settings come from FILE (TOML), then the environment (ISHOWTTS__SECTION__KEY), then the "
    "options;\n"
    "port 0 takes any free port. SIGTERM and SIGINT finish what is being spoken, a second one ends at once.\n"
    "SIGHUP reads the settings again, and so does a change of FILE.\n";

/* All that the signal handler uses. */
static volatile sig_atomic_t signal_pipe = -1;

static void on_signal(int number) {
    int before = errno;
    char byte = (char)number;
    ssize_t ignored = write((int)signal_pipe, &byte, 1);
    (void)ignored;
    errno = before;
}

typedef struct stop_request {
    int pipe[2];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int asked;
    int failed;           /* the exit code is 1 */
    ishow_server *server; /* reloaded by SIGHUP; NULL before it is created and after it is freed */
} stop_request;

static void set_reloaded_server(stop_request *stop, ishow_server *server) {
    pthread_mutex_lock(&stop->lock);
    stop->server = server;
    pthread_mutex_unlock(&stop->lock);
}

/* The first signal asks main to stop. While main runs Python it cannot react, so a second signal ends the process at
 * once. */
static void *watch_signals(void *self) {
    stop_request *stop = self;
    char number;
    for (int seen = 0;;) {
        ssize_t n = read(stop->pipe[0], &number, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || number == 0) return NULL; /* main has ended */
        pthread_mutex_lock(&stop->lock);
        if (number == SIGHUP) {
            if (stop->server) ishow_server_reload(stop->server);
            pthread_mutex_unlock(&stop->lock);
            continue;
        }
        if (seen++) _exit(128 + number);
        stop->asked = 1;
        pthread_cond_signal(&stop->changed);
        pthread_mutex_unlock(&stop->lock);
    }
}

static int stop_asked(stop_request *stop, int wait) {
    pthread_mutex_lock(&stop->lock);
    while (wait && !stop->asked) pthread_cond_wait(&stop->changed, &stop->lock);
    int asked = stop->asked;
    pthread_mutex_unlock(&stop->lock);
    return asked;
}

static int add_override(arguments *a, const char *key, const char *value) {
    if (a->n_overrides == OVERRIDES_MAX) return 0;
    return asprintf(&a->overrides[a->n_overrides], "%s%s", key, value) >= 0 && ++a->n_overrides;
}

/* Returns the exit code, or -1 to go on. */
static int parse_arguments(int argc, char **argv, arguments *out) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"host", required_argument, NULL, 'H'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"wyoming", required_argument, NULL, 'w'},
                                            {"set", required_argument, NULL, 's'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:p:h", options, NULL)) != -1) {
        int good = 1;
        switch (option) {
        case 'c': out->config = optarg; break;
        case 'H': good = add_override(out, "server.host=", optarg); break;
        case 'p': good = add_override(out, "server.port=", optarg); break;
        case 'w': good = add_override(out, "server.wyoming_port=", optarg); break;
        case 's': good = add_override(out, "", optarg); break;
        case 'v': good = add_override(out, "server.log_level=", "debug"); break;
        case 'V': printf("ishowtts-server %s\n", ishow_version()); return 0;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return EXIT_USAGE;
        }
        if (!good) {
            fprintf(stderr, "ishowtts-server: at most %d settings can be given as options.\n", OVERRIDES_MAX);
            return EXIT_USAGE;
        }
    }
    if (optind == argc) return -1;
    fprintf(stderr, "ishowtts-server: unknown argument \"%s\".\n%s", argv[optind], usage);
    return EXIT_USAGE;
}

/* The pages are found relative to the executable: in the package (ishowtts/bin), in a source tree (build/VARIANT) or in
 * an installed tree (bin). */
static const char *find_web(char *out, size_t n) {
    static const char *const places[] = {"../web", "../../ishowtts/web", "../lib/ishow/ishowtts/web"};
    char self[PATH_MAX];
    struct stat info;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) return NULL;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(out, n, "%s/%s/index.html", self, places[i]) < (int)n && !stat(out, &info)) {
            *strrchr(out, '/') = '\0';
            return out;
        }
    ishow_log(ISHOW_LOG_WARN, "server", "no pages are served: there is no web folder near %s", self);
    return NULL;
}

static void start_compiling(ishow_bridge *bridge, ishow_engine *engine, const settings *s, stop_request *stop) {
    ishow_error error = {0};
    char why[480];
    ishow_status status = ishow_bridge_compile_start(bridge, engine, s->model, s->precision, s->threads, &error);
    if (status != ISHOW_OK) {
        ishow_log(ISHOW_LOG_WARN, "server", "the model is not compiled: %s", error.message);
        return;
    }
    while (!strcmp(s->compile, "wait") && ishow_bridge_compile_state(bridge, why, sizeof why) == 1 &&
           !stop_asked(stop, 0))
        usleep(100000);
}

static int compile_state(void *bridge, char *why, size_t n_why) {
    return ishow_bridge_compile_state(bridge, why, n_why);
}

/* Where the configuration is read from. */
typedef struct config_source {
    ishow_bridge *bridge;
    const arguments *args;
} config_source;

static ishow_status read_config(void *self, char **json, ishow_error *error) {
    const config_source *from = self;
    return ishow_bridge_config(from->bridge, from->args->config, (const char *const *)from->args->overrides,
                               from->args->n_overrides, json, error);
}

static int print_error(const ishow_error *error, int code) {
    fprintf(stderr, "ishowtts-server: %s\n", error->message);
    return code;
}

/* Each connection needs a descriptor, and the usual soft limit of 1024 exists for programs that use select(). */
static void raise_descriptors(unsigned connections) {
    enum { OTHERS = 128 }; /* the model's files, the database, chat */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < connections + OTHERS)
        ishow_log(ISHOW_LOG_WARN, "server",
                  "the system allows %llu open files, too few for server.connections_max = %u",
                  (unsigned long long)limit.rlim_cur, connections);
}

/* Shuts down as after SIGTERM, once: a worker or gateway was asked to leave the cluster. */
static void leave(stop_request *s, int failed) {
    pthread_mutex_lock(&s->lock);
    const int first = !s->asked && !s->failed;
    s->failed |= failed;
    pthread_mutex_unlock(&s->lock);
    if (first) on_signal(SIGTERM);
}

static void on_leave(void *stop) { leave(stop, 0); }

/* NATS refuses the connection for good, so the process exits with status 1; a service manager may restart it. */
static void on_refused(void *stop) { leave(stop, 1); }

/* Waits for the first worker: a gateway offers the model and voices of its workers. 0: asked to stop before. */
static int await_worker(ishow_engine *gateway, stop_request *stop) {
    if (!ishow_gateway_ready(gateway)) {
        notify("STATUS=waiting for a worker");
        ishow_log(ISHOW_LOG_INFO, "server", "waiting for a worker");
    }
    while (!ishow_gateway_ready(gateway)) {
        if (stop_asked(stop, 0)) return 0;
        usleep(50000);
    }
    return 1;
}

static int serve(const arguments *args, stop_request *stop) {
    ishow_bridge *bridge = NULL;
    ishow_server *server = NULL;
    ishow_engine *engine = NULL;
    ishow_worker *worker = NULL;
    chat_group *group = NULL;
    settings s = {0};
    ishow_cluster_settings cluster = {0};
    ishow_error error = {0};
    char *json = NULL, web[PATH_MAX];
    int pending = 0, code = 0;
    double began = ishow_now();

    if (ishow_bridge_start(&bridge, NULL, &error) != ISHOW_OK) return print_error(&error, 1);
    config_source from = {bridge, args};
    if (read_config(&from, &json, &error) != ISHOW_OK || ishow_settings_read(&s, json, &error) != ISHOW_OK ||
        ishow_cluster_settings_read(&cluster, json, &error) != ISHOW_OK) {
        code = print_error(&error, EXIT_USAGE);
        goto done;
    }
    ishow_log_set_level(s.log_level);
    ishow_log_set_format(s.log_format);
    s.server.config_json = json;
    s.server.config_file = args->config;
    s.server.read_config = read_config;
    s.server.read_config_self = &from;
    raise_descriptors(s.server.connections_max);
    s.server.compile_state = compile_state;
    s.server.compile_self = bridge;
    const int is_gateway = cluster.options.role == ISHOW_ROLE_GATEWAY,
              is_worker = cluster.options.role == ISHOW_ROLE_WORKER;
    s.server.only_health = is_worker;
    cluster.options.refused = on_refused;
    cluster.options.refused_self = stop;
    s.server.web_dir = is_worker ? NULL : find_web(web, sizeof web);
    if (ishow_server_create(&server, &s.server, &error) != ISHOW_OK) {
        code = print_error(&error, error.status == ISHOW_EINVAL ? EXIT_USAGE : 1);
        goto done;
    }
    set_reloaded_server(stop, server);
    const char *what = is_gateway ? "the model of its workers" : s.model;
    notify("STATUS=loading %s", what);
    ishow_log(ISHOW_LOG_INFO, "server", "health is answered on %s, loading %s", ishow_server_url(server), what);
    if (is_gateway) {
        if (ishow_gateway_open(&engine, &cluster.options, &error) != ISHOW_OK) {
            code = print_error(&error, 1);
            goto done;
        }
        ishow_gateway_on_leave(engine, on_leave, stop);
        if (!await_worker(engine, stop)) goto done;
    } else if (ishow_bridge_engine(bridge, s.model, s.precision, s.backend, s.threads, &s.engine, &engine, &pending,
                                   &error) != ISHOW_OK) {
        code = print_error(&error, 1);
        goto done;
    }
    if (ishow_server_set_voices(server, engine, s.voices, s.n_voices, &error) != ISHOW_OK) {
        code = print_error(&error, 1);
        goto done;
    }
    if (pending && strcmp(s.compile, "off")) start_compiling(bridge, engine, &s, stop);
    if (is_worker && ishow_worker_open(&worker, engine, &cluster.options, on_leave, stop, &error) != ISHOW_OK) {
        code = print_error(&error, 1);
        goto done;
    }
    if (is_gateway && cluster.options.shared_chat &&
        ishow_chat_group_open(&group, &cluster.options, &error) != ISHOW_OK) {
        code = print_error(&error, 1);
        goto done;
    }
    const ishow_server_chats chats = {.names = cluster.options.chats,
                                      .n = cluster.options.n_chats,
                                      .options = ishow_chat_settings_options(s.chat),
                                      .sources = s.sources,
                                      .source_chats = s.source_chats,
                                      .n_sources = s.n_sources};
    if (!is_worker && ishow_server_open_chats(server, engine, s.default_voice, &chats, group, &error) != ISHOW_OK) {
        code = print_error(&error, 1);
        goto done;
    }
    ishow_server_join(server, is_gateway ? engine : NULL, worker);
    ishow_server_ready(server, engine, s.default_voice);
    notify("READY=1\nSTATUS=serving %s on %s", what, ishow_server_url(server));
    ishow_log(ISHOW_LOG_INFO, "server", "ready after %.2f s", ishow_now() - began);
    printf("iShowTTS listens on %s\n", ishow_server_url(server));
    fflush(stdout);
    stop_asked(stop, 1);
    notify("STOPPING=1\nSTATUS=finishing what is being spoken");
    ishow_log(ISHOW_LOG_INFO, "server", "closing: finishing what is being spoken");
done:
    set_reloaded_server(stop, NULL);
    if (worker) ishow_worker_drain(worker, s.server.drain_seconds);
    if (server) ishow_server_drain(server, -1);
    ishow_chat_group_free(group);
    ishow_worker_free(worker);
    if (bridge) ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
    ishow_server_free(server);
    ishow_settings_free(&s);
    ishow_cluster_settings_free(&cluster);
    free(json);
    ishow_bridge_stop(bridge);
    if (ishow_live_handles())
        ishow_log(ISHOW_LOG_WARN, "server", "%ld handles are still alive at the end", ishow_live_handles());
    return code ? code : stop->failed;
}

int main(int argc, char **argv) {
    arguments args = {0};
    stop_request stop = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t watcher;
    /* By default most threads have an arena of their own, where memory that they freed lies unused by the others, and
     * the size from which a block has pages of its own, which go back to the system when it is freed, grows with the
     * blocks that were freed: to many megabytes, so that speech and uploads leave holes in the heap, which grows. */
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    ishow_log_set_sink(ishow_log_to_stderr, NULL, ISHOW_LOG_INFO);
    int code = parse_arguments(argc, argv, &args);
    if (code >= 0) goto done;
    if (pipe2(stop.pipe, O_CLOEXEC) || pthread_create(&watcher, NULL, watch_signals, &stop)) {
        fprintf(stderr, "ishowtts-server: signals cannot be watched: %s.\n", strerror(errno));
        code = 1;
        goto done;
    }
    signal_pipe = stop.pipe[1];
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond RLIMIT_FSIZE then fails like one to a full disk */
    code = serve(&args, &stop);
    on_signal(0); /* ends watch_signals */
    pthread_join(watcher, NULL);
done:
    for (size_t i = 0; i < args.n_overrides; i++) free(args.overrides[i]);
    return code;
}
