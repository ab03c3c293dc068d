/* Launches on NVIDIA GPUs through the CUDA driver, which is looked for when it is first needed (cuda.h, driver API). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

#define DEVICES 64

enum { MAJOR = 75, MINOR = 76 };              /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_... */
enum { MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };   /* CU_FUNC_ATTRIBUTE_... */
enum { ASSERT = 710 };                        /* CUDA_ERROR_ASSERT */
enum { RELAXED = 2 };                         /* CU_STREAM_CAPTURE_MODE_RELAXED */
enum { MOST_BLOCKS = 0x7FFFFFFF };            /* of a grid's first dimension */

#define FUNCTIONS(F)                                                                                                   \
    F(cuInit, (unsigned))                                                                                              \
    F(cuGetErrorName, (int, const char **))                                                                            \
    F(cuGetErrorString, (int, const char **))                                                                          \
    F(cuDeviceGet, (int *, int))                                                                                       \
    F(cuDeviceGetAttribute, (int *, int, int))                                                                         \
    F(cuDevicePrimaryCtxRetain, (void **, int))                                                                        \
    F(cuDevicePrimaryCtxRelease_v2, (int))                                                                             \
    F(cuCtxPushCurrent_v2, (void *))                                                                                   \
    F(cuCtxPopCurrent_v2, (void **))                                                                                   \
    F(cuThreadExchangeStreamCaptureMode, (int *))                                                                      \
    F(cuModuleLoadData, (void **, const void *))                                                                       \
    F(cuModuleUnload, (void *))                                                                                        \
    F(cuModuleGetFunction, (void **, void *, const char *))                                                            \
    F(cuFuncSetAttribute, (void *, int, int))                                                                          \
    F(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,  \
                       void **))

#define POINTER(name, parameters) int(*name) parameters;
#define NAME(name, parameters) #name,

static struct {
    FUNCTIONS(POINTER)
} driver;
static const char *const names[] = {FUNCTIONS(NAME)};

/* A device that is in use, and an image that is loaded on one. */
struct device {
    void *context;
    int number, major, minor;
};

struct loaded {
    struct loaded *next;
    const struct vmc_image *image;
    const struct device *device;
    void *module, *function;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows, but for reading what is atomic */
static int ready;
static struct device devices[DEVICES];
static _Atomic int in_use[DEVICES];
static struct loaded *_Atomic all;

/* A launch reports what went wrong in kernels before it, too. */
static int report(vmc_error *error, const char *function, int status) {
    const char *name = NULL, *text = NULL;
    if (status == ASSERT)
        return vmc_fail(error, VMC_EXECUTION, "an assert of a kernel that was launched before failed; its message is on stderr");
    driver.cuGetErrorName(status, &name);
    driver.cuGetErrorString(status, &text);
    return vmc_fail(error, VMC_DRIVER, "the CUDA driver: %s: %s: %s", function, name ? name : "unknown error",
                    text ? text : "no description");
}

#define TRY(function, ...)                                                                                             \
    do {                                                                                                               \
        int status = driver.function(__VA_ARGS__);                                                                     \
        if (status) return report(error, #function, status);                                                           \
    } while (0)

/* Loads the driver. The lock is held. */
static int open_driver(vmc_error *error) {
    if (ready) return VMC_OK;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return vmc_fail(error, VMC_DRIVER, "there is no CUDA driver: %s", dlerror());
    void **pointers = (void **)&driver;
    for (size_t place = 0; place < sizeof names / sizeof *names; place++)
        if (!(pointers[place] = dlsym(library, names[place]))) {
            dlclose(library);
            return vmc_fail(error, VMC_DRIVER, "the CUDA driver is too old: it has no %s", names[place]);
        }
    TRY(cuInit, 0);
    ready = 1;
    return VMC_OK;
}

/* The lock is held. */
static int open_device(int32_t number, vmc_error *error) {
    int wrong = open_driver(error);
    if (wrong) return wrong;
    if (atomic_load(&in_use[number])) return VMC_OK;
    struct device *device = &devices[number];
    TRY(cuDeviceGet, &device->number, number);
    TRY(cuDeviceGetAttribute, &device->major, MAJOR, device->number);
    TRY(cuDeviceGetAttribute, &device->minor, MINOR, device->number);
    TRY(cuDevicePrimaryCtxRetain, &device->context, device->number);
    atomic_store(&in_use[number], 1);
    return VMC_OK;
}

static int get_device(int32_t number, const struct device **found, vmc_error *error) {
    if (number < 0 || number >= DEVICES) return vmc_fail(error, VMC_TARGET, "there is no device %d", number);
    if (!atomic_load(&in_use[number])) {
        pthread_mutex_lock(&lock);
        int wrong = open_device(number, error);
        pthread_mutex_unlock(&lock);
        if (wrong) return wrong;
    }
    *found = &devices[number];
    return VMC_OK;
}

/* How well an image fits a device: 0 not at all; an exact cubin before one of an earlier device before PTX, and among
   those the latest (CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility"). */
static int fitness(const struct vmc_image *image, const struct device *device) {
    int own = 10 * image->major + image->minor, wanted = 10 * device->major + device->minor;
    if (!image->is_ptx && own == wanted) return 3000;
    if (image->exact || own > wanted) return 0;
    if (!image->is_ptx) return image->major == device->major ? 2000 + own : 0;
    return 1000 + own;
}

int vmc_choose_image(const struct vmc_kernel *kernel, int32_t number, const struct vmc_image **chosen, vmc_error *error) {
    if (!kernel->image_count) return vmc_fail(error, VMC_TARGET, "%s: the library has no code for GPUs", kernel->name);
    const struct device *device;
    int wrong = get_device(number, &device, error), best = 0;
    if (wrong) return wrong;
    for (int32_t place = 0; place < kernel->image_count; place++) {
        int fits = fitness(&kernel->images[place], device);
        if (fits > best) {
            best = fits;
            *chosen = &kernel->images[place];
        }
    }
    if (best) return VMC_OK;
    char listed[256] = "";
    size_t size = 0;
    for (int32_t place = 0; place < kernel->image_count && size < sizeof listed - 32; place++)
        if (!kernel->images[place].is_ptx)
            size += (size_t)snprintf(listed + size, sizeof listed - size, "%s%s", size ? ", " : "", kernel->images[place].arch);
    return vmc_fail(error, VMC_TARGET, "%s: the library has code for %s, and device %d has compute capability %d.%d",
                    kernel->name, listed, number, device->major, device->minor);
}

static int load_module(const struct vmc_image *image, struct loaded *made, vmc_error *error) {
    TRY(cuModuleLoadData, &made->module, image->data);
    TRY(cuModuleGetFunction, &made->function, made->module, image->entry);
    if (image->shared) TRY(cuFuncSetAttribute, made->function, MAX_DYNAMIC_SHARED_SIZE_BYTES, image->shared);
    return VMC_OK;
}

/* Loads an image on the device whose context is current, also while the caller's thread captures a stream, which would
   forbid it in the stricter modes. The lock is held. */
static int load(const struct vmc_image *image, const struct device *device, struct loaded *made, vmc_error *error) {
    int mode = RELAXED;
    driver.cuThreadExchangeStreamCaptureMode(&mode);
    int wrong = load_module(image, made, error);
    driver.cuThreadExchangeStreamCaptureMode(&mode);
    made->image = image;
    made->device = device;
    return wrong;
}

static const struct loaded *find(const struct vmc_image *image, const struct device *device) {
    const struct loaded *one = atomic_load(&all);
    while (one && (one->image != image || one->device != device)) one = one->next;
    return one;
}

static int get_function(const struct vmc_image *image, const struct device *device, void **function, vmc_error *error) {
    const struct loaded *known = find(image, device);
    if (!known) {
        pthread_mutex_lock(&lock);
        known = find(image, device);
        if (!known) {
            struct loaded *made = calloc(1, sizeof *made);
            int wrong = made ? load(image, device, made, error) : vmc_fail(error, VMC_MEMORY, "there is no memory");
            if (wrong) {
                if (made && made->module) driver.cuModuleUnload(made->module);
                free(made);
                pthread_mutex_unlock(&lock);
                return wrong;
            }
            made->next = atomic_load(&all);
            atomic_store(&all, made);
            known = made;
        }
        pthread_mutex_unlock(&lock);
    }
    *function = known->function;
    return VMC_OK;
}

/* With the device's context current. `words` are the parameters in the kernel's order, then the symbols. */
static int launch(const struct vmc_kernel *kernel, const struct vmc_image *image, const struct device *device,
                  uint64_t *words, int64_t blocks, void *stream, vmc_error *error) {
    void *pointers[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS], *function;
    int wrong = get_function(image, device, &function, error);
    if (wrong) return wrong;
    for (int32_t place = 0; place < kernel->parameters + kernel->symbols; place++) pointers[place] = &words[place];
    TRY(cuLaunchKernel, function, (unsigned)blocks, 1, 1, (unsigned)image->threads, 1, 1, (unsigned)image->shared, stream,
        pointers, NULL);
    return VMC_OK;
}

/* From argument words to a GPU kernel's parameters: in the declared order, signed scalars with their sign extended. */
static void order(const struct vmc_kernel *kernel, const uint64_t *words, uint64_t *parameters) {
    const uint64_t *tensor = words, *scalar = words + kernel->tensors, *symbol = scalar + kernel->scalars;
    const struct vmc_scalar *about = kernel->scalar;
    for (int32_t place = 0; place < kernel->parameters; place++) {
        if (!kernel->is_scalar[place]) {
            parameters[place] = *tensor++;
            continue;
        }
        int unused = 64 - about->width;
        parameters[place] = about->kind == VMC_SIGNED ? (uint64_t)((int64_t)(*scalar << unused) >> unused) : *scalar;
        scalar++, about++;
    }
    for (int32_t place = 0; place < kernel->symbols; place++) parameters[kernel->parameters + place] = symbol[place];
}

int vmc_run_cuda(const struct vmc_kernel *kernel, const struct vmc_image *image, const uint64_t *words,
                 const vmc_where *where, vmc_error *error) {
    uint64_t parameters[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS], arguments[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS + 1];
    __attribute__((aligned(64))) char arena[VMC_COUNTING_ARENA];
    int64_t facts[2];
    int32_t count = kernel->tensors + kernel->scalars + kernel->symbols;
    const struct device *device;
    int wrong = get_device(where->device, &device, error);
    if (wrong) return wrong;
    for (int32_t place = 0; place < count; place++) arguments[place] = words[place];
    arguments[count] = 0;
    int64_t blocks = image->blocks(arguments, arena, facts);
    if (!blocks) return VMC_OK;
    if (blocks < 0) return vmc_fail(error, VMC_EXECUTION, "%s: an assert before the grid failed", kernel->name);
    if (blocks > MOST_BLOCKS)
        return vmc_fail(error, VMC_ARGUMENT, "%s: a launch of %lld blocks; the most is %d", kernel->name,
                        (long long)blocks, MOST_BLOCKS);
    order(kernel, words, parameters);
    TRY(cuCtxPushCurrent_v2, device->context);
    wrong = launch(kernel, image, device, parameters, blocks, where->stream, error);
    void *popped;
    driver.cuCtxPopCurrent_v2(&popped);
    return wrong;
}

/* What the driver says at the end of the process is not asked for: it may have ended before. */
__attribute__((destructor)) static void unloaded(void) {
    for (struct loaded *one = atomic_load(&all), *next; one; one = next) {
        void *popped;
        next = one->next;
        if (!driver.cuCtxPushCurrent_v2(one->device->context)) {
            driver.cuModuleUnload(one->module);
            driver.cuCtxPopCurrent_v2(&popped);
        }
        free(one);
    }
    for (int number = 0; number < DEVICES; number++)
        if (atomic_load(&in_use[number])) driver.cuDevicePrimaryCtxRelease_v2(devices[number].number);
}
