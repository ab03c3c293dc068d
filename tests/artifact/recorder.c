/* Stands in for libcuda.so.1 in tests of what a library asks of the driver: it prints every call that matters, has devices
   of the capabilities that RECORDER_CAPABILITIES lists ("8.0 9.0"), and executes nothing. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uintptr_t current;

static void say(const char *text) {
    puts(text);
    fflush(stdout);
}

static int capability(int device, int *major, int *minor) {
    const char *text = getenv("RECORDER_CAPABILITIES");
    for (; text && *text; device--) {
        if (!device) return sscanf(text, "%d.%d", major, minor) == 2;
        text = strchr(text, ' ');
        if (text) text++;
    }
    return 0;
}

int cuInit(unsigned flags) {
    say("init");
    return (int)flags;
}

int cuDriverGetVersion(int *version) {
    *version = 12040;
    return 0;
}

int cuGetErrorName(int status, const char **name) {
    *name = status == 101 ? "CUDA_ERROR_INVALID_DEVICE"
            : status == 2 ? "CUDA_ERROR_OUT_OF_MEMORY"
                          : "CUDA_ERROR_INVALID_IMAGE";
    return 0;
}

int cuGetErrorString(int status, const char **text) {
    *text = status == 101 ? "invalid device ordinal" : status == 2 ? "out of memory" : "device kernel image is invalid";
    return 0;
}

int cuDeviceGet(int *device, int number) {
    int major, minor;
    *device = number;
    return capability(number, &major, &minor) ? 0 : 101;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int major, minor;
    capability(device, &major, &minor);
    if (attribute == 97) /* Technical Specifications per Compute Capability */
        *value = (major == 8 && (minor == 0 || minor == 7) ? 163 : major == 9 || major == 10 ? 227 : 99) << 10;
    else
        *value = attribute == 16 ? 100 : attribute == 75 ? major : minor;
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    printf("retain %d\n", device);
    *context = (void *)(uintptr_t)(100 + device);
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    printf("release %d\n", device);
    return 0;
}

int cuCtxPushCurrent_v2(void *context) {
    current = (uintptr_t)context;
    return 0;
}

int cuCtxPopCurrent_v2(void **context) {
    *context = (void *)current;
    current = 0;
    return 0;
}

int cuThreadExchangeStreamCaptureMode(int *mode) {
    static int current_mode;
    int before = current_mode;
    current_mode = *mode;
    *mode = before;
    return 0;
}

int cuModuleLoadData(void **module, const void *image) {
    if (getenv("RECORDER_REFUSES")) return 200;
    printf("load %s on %d\n", memcmp(image, "\177ELF", 4) ? "ptx" : "cubin", (int)current - 100);
    *module = (void *)image;
    return 0;
}

int cuModuleUnload(void *module) {
    (void)module;
    say("unload");
    return 0;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    (void)module;
    printf("function %s\n", name);
    *function = strdup(name);
    return 0;
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    printf("attribute %d of %s is %d\n", attribute, (const char *)function, value);
    return 0;
}

int cuMemPoolCreate(void **pool, const int *properties) {
    printf("pool of memory %d on device %d, for handles of type %d\n", properties[0], properties[3], properties[1]);
    *pool = (void *)0x9000;
    return 0;
}

int cuMemPoolDestroy(void *pool) {
    printf("destroy pool %p\n", pool);
    return 0;
}

int cuMemPoolSetAttribute(void *pool, int attribute, const uint64_t *value) {
    printf("attribute %d of pool %p is %llx\n", attribute, pool, (unsigned long long)*value);
    return 0;
}

int cuMemAllocFromPoolAsync(uint64_t *memory, size_t bytes, void *pool, void *stream) {
    if (getenv("RECORDER_NO_MEMORY")) return 2;
    *memory = 0x7000000;
    printf("allocate %zu bytes of pool %p, stream %p\n", bytes, pool, stream);
    return 0;
}

int cuMemFreeAsync(uint64_t memory, void *stream) {
    printf("free %llx, stream %p\n", (unsigned long long)memory, stream);
    fflush(stdout);
    return 0;
}

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    const char *count = getenv("RECORDER_PARAMETERS"), *fails = getenv("RECORDER_LAUNCH_FAILS");
    if (fails) return atoi(fails);
    printf("launch %s on %d: %u %u %u blocks, %u %u %u threads, %u bytes, stream %p:", (const char *)function,
           (int)current - 100, x, y, z, threads, ty, tz, shared, stream);
    for (int place = 0; place < (count ? atoi(count) : 0); place++)
        printf(" %llx", (unsigned long long)*(uint64_t *)parameters[place]);
    say(extra ? " extra" : "");
    return 0;
}
