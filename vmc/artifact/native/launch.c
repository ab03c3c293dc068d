/* Launches on the CPU: the choice of a level, the threads that help, and the records that a launch needs. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime.h"
#include "scheduler.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* `vmc.backends.cpu.scheduler` */
int64_t launch(void *record, int64_t limit) __asm__("vmc.launch");
void *helper(void *nothing) __asm__("vmc.helper");
void forget(void) __asm__("vmc.forget");
void dismiss(void) __asm__("vmc.dismiss");

/* The level */

#define WORDS 32

#if defined(__x86_64__)

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, XCR0_TILES = 0x60000 };

/* The words of CPUID that `vmc_leaves` lists, then XCR0: what the system saves of a thread's registers. */
static void read_processor(uint32_t *words) {
    int32_t leaves = (vmc_word_count - 1) / 4;
    for (int32_t place = 0; place < leaves; place++) {
        uint32_t leaf = vmc_leaves[place][0], subleaf = vmc_leaves[place][1], *out = words + 4 * place, most;
        uint32_t b, c, d;
        if (__get_cpuid_max(leaf & 0x80000000u, NULL) < leaf) continue;
        if (subleaf) {
            __cpuid_count(leaf, 0, most, b, c, d);
            if (most < subleaf) continue;
        }
        __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
    }
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & 1u << 27)) return; /* OSXSAVE */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & XCR0_TILES) == XCR0_TILES && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
        low &= ~(uint32_t)XCR0_TILES;
    words[vmc_word_count - 1] = low;
}

#else

/* What the kernel tells of an aarch64 processor (asm/hwcap.h). */
static void read_processor(uint32_t *words) {
    words[0] = (uint32_t)getauxval(AT_HWCAP);
    words[1] = (uint32_t)getauxval(AT_HWCAP2);
}

#endif

static int can_execute(int32_t level, const uint32_t *words) {
    const uint32_t *needs = vmc_needs + (size_t)level * (size_t)vmc_word_count;
    for (int32_t place = 0; place < vmc_word_count; place++)
        if ((words[place] & needs[place]) != needs[place]) return 0;
    return 1;
}

/* VMC_CPU_LEVEL names a level, which the processor must be able to execute; else the best one is taken. */
int32_t vmc_level(vmc_error *error) {
    static _Atomic int32_t chosen = -1;
    int32_t level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level >= 0) return level;
    uint32_t words[WORDS] = {0};
    read_processor(words);
    const char *forced = getenv("VMC_CPU_LEVEL");
    for (int32_t place = 0; place < vmc_level_count; place++)
        if (can_execute(place, words) && (!forced || !*forced || !strcmp(forced, vmc_levels[place]))) level = place;
    if (level >= 0) {
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    } else {
        char known[256] = "";
        for (int32_t place = 0; place < vmc_level_count; place++) {
            size_t size = strlen(known);
            snprintf(known + size, sizeof known - size, "%s%s", place ? ", " : "", vmc_levels[place]);
        }
        vmc_fail(error, VMC_TARGET, "this processor can execute none of the levels that the library has code for%s%s: %s",
                 forced && *forced ? " and VMC_CPU_LEVEL names: " : "", forced && *forced ? forced : "", known);
    }
    return level;
}

/* Threads */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static pthread_t *helpers;
static int64_t helper_count, helper_room;
static int helpers_refused;

static int64_t number_in(const char *text) {
    if (!text || *text < '0' || *text > '9') return 0;
    long value = strtol(text, NULL, 10);
    return value < 1 ? 0 : value < VMC_MOST_THREADS ? value : VMC_MOST_THREADS;
}

/* The cores that the process may run on, and that its control group pays for, rounded up (cgroup v2: cpu.max). */
static int64_t cores(void) {
    cpu_set_t set;
    int64_t count = sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        long long limit, period;
        if (fscanf(file, "%lld %lld", &limit, &period) == 2 && limit > 0 && period > 0) {
            int64_t paid = (limit + period - 1) / period;
            if (paid < count) count = paid;
        }
        fclose(file);
    }
    return count < 1 ? 1 : count;
}

/* How many threads a launch may use: VMC_NUM_THREADS, else the cores, and no more than OMP_NUM_THREADS. */
static int64_t default_threads(void) {
    static _Atomic int64_t known = 0;
    int64_t count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count) return count;
    count = number_in(getenv("VMC_NUM_THREADS"));
    if (!count) {
        count = cores();
        int64_t most = number_in(getenv("OMP_NUM_THREADS"));
        if (most && most < count) count = most;
    }
    atomic_store_explicit(&known, count, memory_order_relaxed);
    return count;
}

/* Makes helpers until there are so many, or no more can be had; they take no signals. The lock is held. */
static void grow(int64_t wanted) {
    if (wanted > helper_room) {
        pthread_t *more = realloc(helpers, sizeof *helpers * (size_t)wanted);
        if (!more) return;
        helpers = more;
        helper_room = wanted;
    }
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before)) return;
    while (helper_count < wanted && !pthread_create(&helpers[helper_count], NULL, helper, NULL)) helper_count++;
    if (helper_count < wanted) helpers_refused = 1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Records: `vmc.backends.cpu.record`. */

struct record {
    struct record *next;
    int64_t limit, capacity, word_count;
    void *shared, *arena;
    uint64_t *words;
};

static struct record *idle;

static void *aligned(size_t size) {
    void *memory;
    return posix_memalign(&memory, VMC_LINE, size ? size : 1) ? NULL : memory;
}

static void discard(struct record *record) {
    free(record->shared);
    free(record->arena);
    free(record->words);
    free(record);
}

static int make_room(struct record *record, int64_t capacity) {
    if (record->capacity >= capacity) return 1;
    free(record->arena);
    record->capacity = 0;
    record->arena = aligned((size_t)capacity);
    if (!record->arena) return 0;
    record->capacity = capacity;
    return 1;
}

/* A record that no launch uses, with room for so many threads and words; NULL where there is no memory. Helpers that are
   missing are made, and `threads` falls to the threads that there are. */
static struct record *take(int64_t *threads, int64_t word_count) {
    pthread_mutex_lock(&lock);
    if (*threads - 1 > helper_count && !helpers_refused) grow(*threads - 1);
    if (*threads > helper_count + 1) *threads = helper_count + 1;
    int64_t limit = *threads;
    struct record *record = idle;
    if (record) idle = record->next;
    pthread_mutex_unlock(&lock);
    if (!record && !(record = calloc(1, sizeof *record))) return NULL;
    if (record->limit < limit) {
        free(record->shared);
        record->shared = aligned((size_t)(VMC_COUNTERS + VMC_LINE * limit));
        record->limit = record->shared ? limit : 0;
    }
    if (record->word_count < word_count) {
        free(record->words);
        record->words = calloc((size_t)word_count, sizeof *record->words);
        record->word_count = record->words ? word_count : 0;
    }
    if (record->shared && record->words) return record;
    discard(record);
    return NULL;
}

static void give_back(struct record *record) {
    pthread_mutex_lock(&lock);
    record->next = idle;
    idle = record;
    pthread_mutex_unlock(&lock);
}

/* A forked child has this memory without the threads. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
    helper_count = 0;
    helpers_refused = 0;
    forget();
    pthread_mutex_init(&lock, NULL);
}

__attribute__((constructor)) static void loaded(void) { pthread_atfork(before_fork, after_fork, in_child); }

/* At the end of the process, or when the library is unloaded: nobody may sleep in code that is no longer there. */
__attribute__((destructor)) static void unloaded(void) {
    if (helper_count) dismiss();
    while (helper_count) pthread_join(helpers[--helper_count], NULL);
    free(helpers);
    helpers = NULL;
    helper_room = 0;
    helpers_refused = 1;
    for (struct record *record = idle, *next; record; record = next) {
        next = record->next;
        discard(record);
    }
    idle = NULL;
}

int vmc_run_cpu(const struct vmc_kernel *kernel, const uint64_t *words, int32_t threads, vmc_error *error) {
    int32_t level = vmc_level(error);
    if (level < 0) return VMC_TARGET;
    const struct vmc_version *version = &kernel->versions[level];
    int64_t limit = default_threads(), word_count = kernel->tensors + kernel->scalars + kernel->symbols;
    if (threads > 0 && threads < limit) limit = threads;
    if (kernel->serial) limit = 1;
    struct record *record = take(&limit, word_count + 1);
    if (!record) return vmc_fail(error, VMC_MEMORY, "%s: there is no memory for a launch", kernel->name);
    memcpy(record->words, words, sizeof *words * (size_t)word_count);
    record->words[word_count] = 0; /* nothing is printed */
    uint64_t *shared = record->shared;
    memset(shared, 0, VMC_COUNTERS);
    shared[VMC_RECORD_ARGUMENTS] = (uint64_t)(uintptr_t)record->words;
    shared[VMC_RECORD_BLOCKS] = (uint64_t)(uintptr_t)version->blocks;
    shared[VMC_RECORD_WORKER] = (uint64_t)(uintptr_t)version->worker;
    int64_t needed = version->arena * limit, outcome;
    do {
        if (!make_room(record, needed)) {
            give_back(record);
            return vmc_fail(error, VMC_MEMORY, "%s: there are no %lld bytes of scratch memory", kernel->name,
                            (long long)needed);
        }
        shared[VMC_RECORD_ARENA] = (uint64_t)(uintptr_t)record->arena;
        shared[VMC_RECORD_CAPACITY] = (uint64_t)record->capacity;
        needed = outcome = launch(shared, limit);
    } while (outcome > 0);
    give_back(record);
    return outcome ? vmc_fail(error, VMC_EXECUTION, "%s", version->sites[-outcome - 1]) : VMC_OK;
}
