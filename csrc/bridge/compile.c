/* Compiling a package takes a minute of a whole core, so it is done in a process of its own, at low priority, in its
 * own process group, so that stopping it also stops its C++ compilers. A thread reads its messages, waits for it, and
 * swaps the finished package in. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "bridge/internal.h"

enum { NONE = 0, RUNNING, SWAPPED, FAILED };

#define LOW_PRIORITY 15
#define STOP_SECONDS 3

extern char **environ;

static void set_state(ishow_compile *job, int state, const char *why) {
    pthread_mutex_lock(&job->lock);
    job->state = state;
    snprintf(job->why, sizeof job->why, "%s", why);
    pthread_mutex_unlock(&job->lock);
    if (state == FAILED)
        ishow_log(ISHOW_LOG_WARN, "compile", "no package was made, the Python model stays in use: %s", why);
}

void ishow_compile_failed(ishow_bridge *bridge, const char *why) { set_state(&bridge->compile, FAILED, why); }

/* Reads the process's standard error line by line into the log until it is closed; the last line stays in `last`. */
static void follow(int output, char *last, size_t size) {
    FILE *lines = fdopen(output, "r");
    char *line = NULL;
    size_t capacity = 0;
    while (lines && getline(&line, &capacity, lines) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line) continue;
        snprintf(last, size, "%s", line);
        ishow_log(ISHOW_LOG_DEBUG, "compile", "%s", line);
    }
    free(line);
    if (lines)
        fclose(lines);
    else
        close(output);
}

/* Waits for the end without reaping, then reaps under the lock: compile_stop never signals a number that was given to
 * another process. */
static int wait_for(ishow_compile *job, pid_t process) {
    siginfo_t info;
    int status = -1;
    while (waitid(P_PID, (id_t)process, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {}
    pthread_mutex_lock(&job->lock);
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {}
    job->process = 0;
    pthread_mutex_unlock(&job->lock);
    return status;
}

static void *run(void *self) {
    ishow_bridge *bridge = self;
    ishow_compile *job = &bridge->compile;
    char last[sizeof job->why] = "the compiler ended without a message.";
    ishow_package package = {0};
    ishow_backend backend;
    ishow_error error = {0};
    const double start = ishow_now();
    follow(job->output, last, sizeof last);
    int status = wait_for(job, job->process);
    pthread_mutex_lock(&job->lock);
    const int stopped = job->stopped;
    pthread_mutex_unlock(&job->lock);
    if (stopped || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        set_state(job, stopped ? NONE : FAILED, stopped ? "" : last);
        return NULL;
    }
    if (ishow_py_find_package(bridge, job->model, job->precision, &package, &error)) goto failed;
    if (!package.package) {
        ishow_fail(&error, ISHOW_EINTERNAL, "", "The compiler reported success but left no package.");
        goto failed;
    }
    if (ishow_package_open(&package, job->threads, &backend, &error)) goto failed;
    if (ishow_engine_swap_backend(job->engine, &backend, &error)) goto failed;
    ishow_log(ISHOW_LOG_INFO, "compile", "compiled in %.0f s, now in use", ishow_now() - start);
    set_state(job, SWAPPED, "");
    ishow_package_clear(&package);
    return NULL;
failed:
    set_state(job, FAILED, error.message);
    ishow_package_clear(&package);
    return NULL;
}

/* `environ` with PYTHONPATH set to `root`, the folder of ishowtts; free() the array only. It borrows the memory of
 * `variable`. */
static char **environment(const char *root, char *variable, size_t size) {
    size_t n = 0, m = 0;
    while (environ[n]) n++;
    char **all = calloc(n + 2, sizeof *all);
    if (!all) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "PYTHONPATH=", 11) != 0) all[m++] = environ[i];
    snprintf(variable, size, "PYTHONPATH=%s", root);
    all[m] = variable;
    return all;
}

static ishow_status spawn(ishow_compile *job, char *const *arguments, const char *root, ishow_error *error) {
    int ends[2] = {-1, -1}, code;
    char variable[4200];
    sigset_t none, usual;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char **variables = environment(root, variable, sizeof variable);
    if (!variables) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a process.");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(variables);
        return ishow_fail(error, ISHOW_EIO, "", "A pipe cannot be made: %s.", strerror(errno));
    }
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    code = posix_spawn(&job->process, arguments[0], &files, &attributes, arguments, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(variables);
    close(ends[1]);
    if (code != 0) {
        job->process = 0;
        close(ends[0]);
        return ishow_fail(error, ISHOW_EIO, "", "%s cannot be started: %s.", arguments[0], strerror(code));
    }
    setpriority(PRIO_PROCESS, (id_t)job->process,
                LOW_PRIORITY); /* before it has children, which inherit the priority */
    job->output = ends[0];
    return ISHOW_OK;
}

/* The command line that Python wants, copied: one block of pointers and texts, NULL-terminated; free() it. */
static char **copy_arguments(PyObject *list) {
    const Py_ssize_t n = PyList_GET_SIZE(list);
    size_t bytes = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *text = PyUnicode_AsUTF8(PyList_GET_ITEM(list, i));
        if (!text) return NULL;
        bytes += strlen(text) + 1;
    }
    char **all = calloc(1, (size_t)(n + 1) * sizeof *all + bytes);
    if (!all) return (char **)PyErr_NoMemory();
    char *next = (char *)(all + n + 1);
    for (Py_ssize_t i = 0; i < n; i++) {
        all[i] = strcpy(next, PyUnicode_AsUTF8(PyList_GET_ITEM(list, i)));
        next += strlen(next) + 1;
    }
    return all;
}

/* Several threads may call this at once: one starts a process, the others get EBUSY. */
static int take_start(ishow_compile *job) {
    pthread_mutex_lock(&job->lock);
    const int taken = job->state != RUNNING && !job->starting;
    if (taken) job->starting = 1;
    pthread_mutex_unlock(&job->lock);
    return taken;
}

ishow_status ishow_bridge_compile_start(ishow_bridge *bridge, ishow_engine *engine, const char *model,
                                        const char *precision, int threads, ishow_error *error) {
    ishow_compile *job = &bridge->compile;
    ishow_error own = {0};
    PyObject *command = NULL, *list = NULL; /* list is borrowed from command */
    const char *root = NULL;                /* borrowed from command */
    char **arguments = NULL, *folder = NULL;
    if (!take_start(job)) return ishow_fail(error, ISHOW_EBUSY, "", "A package is being compiled already.");
    ishow_bridge_compile_stop(bridge); /* joins the thread of an earlier compilation */
    PyGILState_STATE lock = PyGILState_Ensure();
    command =
        ishow_py_call(bridge, &own, "Preparing to compile", "compile_command", "(szi)", model, precision, threads);
    if (command &&
        (!PyArg_ParseTuple(command, "O!s", &PyList_Type, &list, &root) || !(arguments = copy_arguments(list))))
        ishow_py_fail(&own, "Preparing to compile");
    if (arguments) folder = ishow_strdup(root);
    Py_XDECREF(command);
    PyGILState_Release(lock);
    if (own.status) goto done;
    job->engine = engine;
    job->threads = threads;
    job->model = ishow_strdup(model);
    job->precision = ishow_strdup(precision);
    job->stopped = 0;
    if (!folder || !job->model || (precision && !job->precision)) {
        ishow_fail(&own, ISHOW_ENOMEM, "", "There is not enough memory for a process.");
        goto done;
    }
    if (spawn(job, arguments, folder, &own)) goto done;
    set_state(job, RUNNING, "");
    int code = pthread_create(&job->thread, NULL, run, bridge);
    if (code) {
        kill(-job->process, SIGKILL);
        wait_for(job, job->process);
        close(job->output);
        set_state(job, NONE, "");
        ishow_fail(&own, ISHOW_EIO, "", "A thread cannot be started: %s.", strerror(code));
        goto done;
    }
    job->has_thread = 1;
done:
    if (own.status) {
        free(job->model);
        free(job->precision);
        job->model = job->precision = NULL;
    }
    free(arguments);
    free(folder);
    pthread_mutex_lock(&job->lock);
    job->starting = 0;
    pthread_mutex_unlock(&job->lock);
    if (error) *error = own;
    return own.status;
}

int ishow_bridge_compile_state(ishow_bridge *bridge, char *why, size_t n_why) {
    ishow_compile *job = &bridge->compile;
    pthread_mutex_lock(&job->lock);
    const int state = job->state;
    if (why && n_why) snprintf(why, n_why, "%s", job->why);
    pthread_mutex_unlock(&job->lock);
    return state;
}

static void signal_group(ishow_compile *job, int number) {
    pthread_mutex_lock(&job->lock);
    job->stopped = 1;
    if (job->process) kill(-job->process, number);
    pthread_mutex_unlock(&job->lock);
}

void ishow_bridge_compile_stop(ishow_bridge *bridge) {
    ishow_compile *job = &bridge->compile;
    struct timespec limit;
    if (!job->has_thread) return;
    signal_group(job, SIGINT); /* on SIGINT Python removes its incomplete files */
    ishow_deadline(STOP_SECONDS, &limit);
    if (pthread_clockjoin_np(job->thread, NULL, CLOCK_MONOTONIC, &limit) != 0) {
        signal_group(job, SIGKILL);
        pthread_join(job->thread, NULL);
    }
    job->has_thread = 0;
    free(job->model);
    free(job->precision);
    job->model = job->precision = NULL;
}
