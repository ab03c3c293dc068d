/* Launches on NVIDIA GPUs through the CUDA driver, which is looked for when it is first needed (cuda.h, driver API). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

#define DEVICES 64
#define VMC_PARAMETERS (VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS + 1 + VMC_WORKSPACE)

enum { MAJOR = 75, MINOR = 76 };              /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_... */
enum { SHARED_OF_A_BLOCK = 97 };              /* CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
enum { TEGRA = 87 };                          /* a compute capability that executes no cubins of others */
enum { MULTIPROCESSORS = 16 };                /* CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT */
enum { MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };   /* CU_FUNC_ATTRIBUTE_... */
enum { ASSERT = 710 };                        /* CUDA_ERROR_ASSERT */
/* CUDA_ERROR_...: what a driver says of cubins and PTX of a CUDA that is newer than itself. */
enum { INVALID_IMAGE = 200, NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218, UNSUPPORTED_PTX_VERSION = 222 };
enum { PINNED = 1, ON_DEVICE = 1 };           /* CU_MEM_ALLOCATION_TYPE_..., CU_MEM_LOCATION_TYPE_DEVICE */
enum { RELEASE_THRESHOLD = 4 };               /* CU_MEMPOOL_ATTR_... */
enum { RELAXED = 2 };                         /* CU_STREAM_CAPTURE_MODE_RELAXED */
enum { MOST_BLOCKS = 0x7FFFFFFF };            /* of a grid's first dimension */

#define FUNCTIONS(F)                                                                                                   \
    F(cuInit, (unsigned))                                                                                              \
    F(cuDriverGetVersion, (int *))                                                                                     \
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
    F(cuMemPoolCreate, (void **, const void *))                                                                        \
    F(cuMemPoolDestroy, (void *))                                                                                      \
    F(cuMemPoolSetAttribute, (void *, int, void *))                                                                    \
    F(cuMemAllocFromPoolAsync, (uint64_t *, size_t, void *, void *))                                                   \
    F(cuMemFreeAsync, (uint64_t, void *))                                                                              \
    F(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,  \
                       void **))

#define POINTER(name, parameters) int(*name) parameters;
#define NAME(name, parameters) #name,

static struct {
    FUNCTIONS(POINTER)
} driver;
static const char *const names[] = {FUNCTIONS(NAME)};

/* A device that is in use, with its pool of memory for workspaces once one was needed, and an image that is loaded on one. */
struct device {
    void *context;
    int number, major, minor, shared, multiprocessors;
    void *_Atomic pool;
};

/* CUmemPoolProps */
struct pool_properties {
    int allocation, handles, location, device;
    unsigned char rest[72];
};

struct loaded {
    struct loaded *next;
    const struct vmc_image *image;
    const struct device *device;
    void *module, **functions; /* the functions of the image's grids */
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
    name = name ? name : "unknown error";
    text = text ? text : "no description";
    if (status == INVALID_IMAGE || status == NO_BINARY_FOR_GPU || status == INVALID_PTX || status == UNSUPPORTED_PTX_VERSION) {
        int version = 0;
        driver.cuDriverGetVersion(&version);
        return vmc_fail(error, VMC_DRIVER,
                        "the CUDA driver: %s: %s: %s; the driver is one of CUDA %d.%d: code that a newer CUDA made may need a "
                        "newer driver",
                        function, name, text, version / 1000, version % 1000 / 10);
    }
    return vmc_fail(error, VMC_DRIVER, "the CUDA driver: %s: %s: %s", function, name, text);
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
    TRY(cuDeviceGetAttribute, &device->shared, SHARED_OF_A_BLOCK, device->number);
    TRY(cuDeviceGetAttribute, &device->multiprocessors, MULTIPROCESSORS, device->number);
    TRY(cuDevicePrimaryCtxRetain, &device->context, device->number);
    atomic_store(&in_use[number], 1);
    return VMC_OK;
}

static int get_device(int32_t number, struct device **found, vmc_error *error) {
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
    if (!image->is_ptx) return image->major == device->major && wanted != TEGRA ? 2000 + own : 0;
    return 1000 + own;
}

int vmc_choose_image(const struct vmc_kernel *kernel, int32_t number, const struct vmc_image **chosen, vmc_error *error) {
    if (!kernel->image_count) return vmc_fail(error, VMC_TARGET, "%s: the library has no code for GPUs", kernel->name);
    struct device *device;
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

static int load_module(const struct vmc_image *image, const struct device *device, struct loaded *made, vmc_error *error) {
    for (int32_t place = 0; place < image->grid_count; place++)
        if (image->grids[place].shared > device->shared)
            return vmc_fail(error, VMC_TARGET,
                            "a block of %s takes %d bytes of shared memory, and device %d (compute capability %d.%d) has %d "
                            "for one",
                            image->grids[place].entry, image->grids[place].shared, device->number, device->major,
                            device->minor, device->shared);
    TRY(cuModuleLoadData, &made->module, image->data);
    made->functions = calloc((size_t)image->grid_count, sizeof *made->functions);
    if (!made->functions) return vmc_fail(error, VMC_MEMORY, "there is no memory");
    for (int32_t place = 0; place < image->grid_count; place++) {
        const struct vmc_grid *grid = &image->grids[place];
        TRY(cuModuleGetFunction, &made->functions[place], made->module, grid->entry);
        if (grid->shared) TRY(cuFuncSetAttribute, made->functions[place], MAX_DYNAMIC_SHARED_SIZE_BYTES, grid->shared);
    }
    return VMC_OK;
}

/* Loads an image on the device whose context is current, also while the caller's thread captures a stream, which would
   forbid it in the stricter modes. The lock is held. */
static int load(const struct vmc_image *image, const struct device *device, struct loaded *made, vmc_error *error) {
    int mode = RELAXED;
    driver.cuThreadExchangeStreamCaptureMode(&mode);
    int wrong = load_module(image, device, made, error);
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

static int get_functions(const struct vmc_image *image, const struct device *device, void ***functions,
                         vmc_error *error) {
    const struct loaded *known = find(image, device);
    if (!known) {
        pthread_mutex_lock(&lock);
        known = find(image, device);
        if (!known) {
            struct loaded *made = calloc(1, sizeof *made);
            int wrong = made ? load(image, device, made, error) : vmc_fail(error, VMC_MEMORY, "there is no memory");
            if (wrong) {
                if (made && made->module) driver.cuModuleUnload(made->module);
                if (made) free(made->functions);
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
    *functions = known->functions;
    return VMC_OK;
}

/* The device's pool of memory for workspaces, which keeps what it has taken. The lock is held. */
static int open_pool(struct device *device, void **pool, vmc_error *error) {
    struct pool_properties properties = {PINNED, 0, ON_DEVICE, device->number, {0}};
    uint64_t never = UINT64_MAX;
    TRY(cuMemPoolCreate, pool, &properties);
    TRY(cuMemPoolSetAttribute, *pool, RELEASE_THRESHOLD, &never);
    atomic_store(&device->pool, *pool);
    return VMC_OK;
}

static int get_pool(struct device *device, void **pool, vmc_error *error) {
    *pool = atomic_load(&device->pool);
    if (*pool) return VMC_OK;
    int mode = RELAXED, wrong = VMC_OK;
    pthread_mutex_lock(&lock);
    *pool = atomic_load(&device->pool);
    if (!*pool) {
        driver.cuThreadExchangeStreamCaptureMode(&mode);
        wrong = open_pool(device, pool, error);
        driver.cuThreadExchangeStreamCaptureMode(&mode);
    }
    pthread_mutex_unlock(&lock);
    return wrong;
}

/* What a launch consists of: the blocks of each grid, the parameters of them all, the workspace's bytes and, behind its
   start, where each of its tensors lies. */
struct launch {
    int64_t blocks[VMC_GRIDS];
    uint64_t parameters[VMC_PARAMETERS];
    int64_t bytes, places[VMC_WORKSPACE];
};

/* With the device's context current. */
static int launch_grids(const struct vmc_kernel *kernel, const struct vmc_image *image, void **functions,
                        struct launch *launch, void *stream, vmc_error *error) {
    void *pointers[VMC_PARAMETERS];
    int32_t count = kernel->parameters + kernel->symbols + image->counts + image->workspace_count;
    for (int32_t place = 0; place < count; place++) pointers[place] = &launch->parameters[place];
    for (int32_t place = 0; place < image->grid_count; place++) {
        const struct vmc_grid *grid = &image->grids[place];
        if (launch->blocks[place])
            TRY(cuLaunchKernel, functions[place], (unsigned)launch->blocks[place], 1, 1, (unsigned)grid->threads, 1, 1,
                (unsigned)grid->shared, stream, pointers, NULL);
    }
    return VMC_OK;
}

/* With the device's context current. The workspace is taken and given back in the stream's order, so that launches on
   several streams, and graphs that captured one, have each their own. */
static int launch_on(const struct vmc_kernel *kernel, const struct vmc_image *image, struct device *device,
                     struct launch *launch, void *stream, vmc_error *error) {
    void **functions, *pool;
    uint64_t memory;
    int wrong = get_functions(image, device, &functions, error);
    if (wrong || !launch->bytes) return wrong ? wrong : launch_grids(kernel, image, functions, launch, stream, error);
    wrong = get_pool(device, &pool, error);
    if (wrong) return wrong;
    TRY(cuMemAllocFromPoolAsync, &memory, (size_t)launch->bytes, pool, stream);
    for (int32_t place = 0; place < image->workspace_count; place++)
        launch->parameters[kernel->parameters + kernel->symbols + image->counts + place] = memory + (uint64_t)launch->places[place];
    wrong = launch_grids(kernel, image, functions, launch, stream, error);
    int status = driver.cuMemFreeAsync(memory, stream);
    return wrong || !status ? wrong : report(error, "cuMemFreeAsync", status);
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

/* Counts the blocks of every grid. */
static int count_blocks(const struct vmc_kernel *kernel, const struct vmc_image *image, uint64_t *arguments,
                        struct launch *launch, vmc_error *error) {
    __attribute__((aligned(64))) char arena[VMC_COUNTING_ARENA];
    int64_t facts[2];
    int32_t count = kernel->tensors + kernel->scalars + kernel->symbols + image->counts;
    for (int32_t place = 0; place < image->grid_count; place++) {
        arguments[count] = 0;
        int64_t blocks = image->grids[place].blocks(arguments, arena, facts);
        if (blocks < 0) return vmc_fail(error, VMC_EXECUTION, "%s: an assert before the grid failed", kernel->name);
        if (blocks > MOST_BLOCKS)
            return vmc_fail(error, VMC_ARGUMENT, "%s: a launch of %lld blocks; the most is %d", image->grids[place].entry,
                            (long long)blocks, MOST_BLOCKS);
        launch->blocks[place] = blocks;
    }
    return VMC_OK;
}

/* Lays out the workspace. */
static int lay_out(const struct vmc_kernel *kernel, const struct vmc_image *image, const int64_t *symbols,
                   struct launch *launch, vmc_error *error) {
    launch->bytes = 0;
    for (int32_t place = 0; place < image->workspace_count; place++) {
        int64_t size, room;
        if (vmc_extent(&image->workspace[place], symbols, &size) || size < 0 ||
            __builtin_add_overflow(size, VMC_WORKSPACE_ALIGNMENT - 1, &room) ||
            __builtin_add_overflow(launch->bytes, room & -VMC_WORKSPACE_ALIGNMENT, &room))
            return vmc_fail(error, VMC_ARGUMENT, "%s: the workspace is too large", kernel->name);
        launch->places[place] = launch->bytes;
        launch->bytes = room;
    }
    return VMC_OK;
}

int vmc_run_cuda(const struct vmc_kernel *kernel, const struct vmc_image *image, const uint64_t *words,
                 const vmc_where *where, vmc_error *error) {
    uint64_t own[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS + 2], *symbols = own + kernel->tensors + kernel->scalars;
    struct launch launch;
    struct device *device;
    int64_t some = 0;
    int wrong = get_device(where->device, &device, error);
    if (wrong) return wrong;
    memcpy(own, words, (size_t)(kernel->tensors + kernel->scalars + kernel->symbols) * sizeof *own);
    if (image->counts) symbols[kernel->symbols] = (uint64_t)device->multiprocessors;
    wrong = count_blocks(kernel, image, own, &launch, error);
    if (!wrong) wrong = lay_out(kernel, image, (const int64_t *)symbols, &launch, error);
    for (int32_t place = 0; !wrong && place < image->grid_count; place++) some |= launch.blocks[place];
    if (wrong || !some) return wrong;
    order(kernel, words, launch.parameters);
    if (image->counts) launch.parameters[kernel->parameters + kernel->symbols] = symbols[kernel->symbols];
    TRY(cuCtxPushCurrent_v2, device->context);
    wrong = launch_on(kernel, image, device, &launch, where->stream, error);
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
        free(one->functions);
        free(one);
    }
    for (int number = 0; number < DEVICES; number++)
        if (atomic_load(&in_use[number])) {
            void *pool = atomic_load(&devices[number].pool);
            if (pool) driver.cuMemPoolDestroy(pool);
            driver.cuDevicePrimaryCtxRelease_v2(devices[number].number);
        }
}
