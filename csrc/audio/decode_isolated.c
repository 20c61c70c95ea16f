/* Decodes untrusted audio in a child process. The decoders are third-party C code: one that crashes, loops, leaks or is
 * exploited ends with that process, whose time and memory are limited, and which has no files and very few system
 * calls. Its result is passed in shared memory and checked like any untrusted input. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audio/audio.h"
#include "base/base.h"

enum { SECONDS = 20 /* of CPU time */, MEMORY = 256 << 20 /* bytes beyond what this process uses */ };
/* Seconds after which a child is killed. It has only the thread that called fork, so a lock that another thread held
 * inside a library at that moment stays locked in it; another child is then started. glibc's allocator releases its
 * locks at fork, that of AddressSanitizer does not. */
#if defined __SANITIZE_ADDRESS__
enum { WALL_SECONDS = 10 };
#else
enum { WALL_SECONDS = 40 };
#endif
enum { ATTEMPTS = 2 };

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* What both processes share. */
typedef struct shared {
    ishow_status status;
    ishow_error error;
    int sample_rate;
    size_t length;
    float samples[];
} shared;

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined ARCHITECTURE
/* Sanitizers reserve terabytes of address space and make system calls of their own, so their builds set no limits. */
static void confine(void) {}
#else
static rlim_t memory_used(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%llu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit(int what, rlim_t most) { setrlimit(what, &(struct rlimit){most, most}); }

/* Allows the system calls for memory, the clock and exit. Any other fails with an error, and the decoder continues. */
static void confine(void) {
#define ALLOW(NAME) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##NAME, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(brk),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(clock_gettime),
        ALLOW(getrandom),
        ALLOW(rt_sigreturn),
        ALLOW(exit),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
#undef ALLOW
    const struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    const rlim_t used = memory_used();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, SECONDS);
    limit(RLIMIT_FSIZE, 0);
    if (used) limit(RLIMIT_AS, used + MEMORY);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program); /* on a kernel without seccomp the limits above remain */
}
#endif

static _Noreturn void child(const void *bytes, size_t n, const ishow_decode_limits *limits, shared *to,
                            size_t capacity) {
    ishow_pcm pcm = {0};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], SIG_DFL); /* signal handlers inherited from the parent */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(WALL_SECONDS);
    confine();
    const ishow_status status = ishow_audio_decode(bytes, n, limits, &pcm, &to->error);
    if (!status && pcm.length <= capacity) {
        memcpy(to->samples, pcm.samples, pcm.length * sizeof *pcm.samples);
        to->sample_rate = pcm.sample_rate;
        to->length = pcm.length;
    }
    to->status = status;
    _exit(0);
}

static ishow_status take(shared *from, size_t capacity, const ishow_decode_limits *limits, ishow_pcm *out,
                         ishow_error *error) {
    const size_t length = from->length;
    const int rate = from->sample_rate;
    if (from->status != ISHOW_OK) {
        from->error.field[sizeof from->error.field - 1] = '\0';
        from->error.message[sizeof from->error.message - 1] = '\0';
        const ishow_status status =
            from->status > ISHOW_OK && from->status <= ISHOW_EINTERNAL ? from->status : ISHOW_EFORMAT;
        return ishow_fail(error, status, from->error.field, "%s", from->error.message);
    }
    int good = length && length <= capacity && rate >= limits->min_sample_rate && rate <= limits->max_sample_rate;
    if (good && !(out->samples = ishow_alloc(length, sizeof *out->samples)))
        return ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while decoding audio");
    for (size_t i = 0; good && i < length; i++) {
        out->samples[i] = from->samples[i];
        good = fabsf(out->samples[i]) <= 1;
    }
    out->length = length;
    out->sample_rate = rate;
    if (!good) ishow_pcm_free(out);
    return good ? ISHOW_OK : ishow_fail(error, ISHOW_EFORMAT, "audio", "the decoder returned invalid audio");
}

/* Decodes in a child. *late: it did not end in WALL_SECONDS. */
static ishow_status attempt(const void *bytes, size_t n, const ishow_decode_limits *limits, shared *both,
                            size_t capacity, int *late, ishow_pcm *out, ishow_error *error) {
    int how = 0;
    const pid_t pid = fork();
    if (pid == 0) child(bytes, n, limits, both, capacity);
    if (pid < 0)
        return ishow_fail(error, ISHOW_EAGAIN, "audio", "the process that decodes audio could not be started: %s",
                          strerror(errno));
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            return ishow_fail(error, ISHOW_EINTERNAL, "audio",
                              "the process that decodes audio cannot be waited for: %s", strerror(errno));
    *late = WIFSIGNALED(how) && WTERMSIG(how) == SIGALRM;
    if (*late) return ishow_fail(error, ISHOW_EAGAIN, "audio", "audio was not decoded within %d seconds", WALL_SECONDS);
    if (!WIFEXITED(how) || WEXITSTATUS(how))
        return ishow_fail(error, ISHOW_EFORMAT, "audio", "audio cannot be decoded: the decoder failed (signal %d)",
                          WIFSIGNALED(how) ? WTERMSIG(how) : 0);
    return take(both, capacity, limits, out, error);
}

ishow_status ishow_audio_decode_isolated(const void *bytes, size_t n_bytes, const ishow_decode_limits *limits,
                                         ishow_pcm *out, ishow_error *error) {
    const size_t capacity = (size_t)(limits->max_seconds * limits->max_sample_rate) + 1;
    const size_t size = sizeof(shared) + capacity * sizeof(float);
    ishow_status status = ISHOW_OK;
    int late = 1;
    *out = (ishow_pcm){0};
    shared *both = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (both == MAP_FAILED) return ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while decoding audio");
    for (int i = 0; late && i < ATTEMPTS; i++) {
        late = 0;
        status = attempt(bytes, n_bytes, limits, both, capacity, &late, out, error);
    }
    munmap(both, size);
    return status;
}
