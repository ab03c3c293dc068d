/* The ways in: the functions of the header, and those of TVM-FFI, whose binary interface is written down here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime.h"

#define EXPORTED __attribute__((visibility("default")))

/* A kernel's code for a place; `image` is NULL for the CPU. */
struct code {
    const struct vmc_storage *storages;
    const struct vmc_image *image;
    int32_t alignment;
};

static int code_for(const struct vmc_kernel *kernel, const vmc_where *where, struct code *code, vmc_error *error) {
    int32_t type = where ? where->device_type : VMC_CPU;
    *code = (struct code){.storages = kernel->storages};
    if (type == VMC_CUDA) {
        int wrong = vmc_choose_image(kernel, where->device, &code->image, error);
        if (wrong) return wrong;
        *code = (struct code){code->image->storages, code->image, VMC_DEVICE_ALIGNMENT};
        return VMC_OK;
    }
    if (type == VMC_CPU && kernel->versions) return VMC_OK;
    if (type == VMC_CPU) return vmc_fail(error, VMC_TARGET, "%s: the library has no code for the CPU", kernel->name);
    return vmc_fail(error, VMC_TARGET, "%s: the library has no code for devices of type %d", kernel->name, type);
}

static int run(const struct vmc_kernel *kernel, const struct code *code, const uint64_t *words, const vmc_where *where,
               vmc_error *error) {
    if (code->image) return vmc_run_cuda(kernel, code->image, words, where, error);
    return vmc_run_cpu(kernel, words, where ? where->threads : 0, error);
}

/* For `vmc.load`, which has checked the arguments: runs kernel `number` on words that are filled in. */
EXPORTED int vmc_enter(int32_t number, const uint64_t *words, const vmc_where *where, vmc_error *error) {
    struct code code;
    int wrong = code_for(&vmc_kernels[number], where, &code, error);
    return wrong ? wrong : run(&vmc_kernels[number], &code, words, where, error);
}

/* For `vmc.load`: the name of the architecture whose code a GPU gets; NULL where it gets none. */
EXPORTED const char *vmc_architecture(int32_t number, int32_t device, vmc_error *error) {
    const struct vmc_image *image;
    return vmc_choose_image(&vmc_kernels[number], device, &image, error) ? NULL : image->arch;
}

/* C */

int vmc_call(const struct vmc_kernel *kernel, const vmc_input *tensors, const struct vmc_number *scalars,
             const int64_t *extras, const vmc_where *where, vmc_error *error) {
    struct vmc_operand operands[VMC_TENSORS];
    uint64_t words[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS];
    for (int32_t place = 0; place < kernel->tensors; place++) {
        operands[place] = (struct vmc_operand){.data = (void *)(uintptr_t)tensors[place].data,
                                               .extents = tensors[place].extents,
                                               .rank = kernel->tensor[place].rank,
                                               .declared = 1,
                                               .contiguous = 1,
                                               .lanes = 1};
    }
    struct code code;
    int wrong = code_for(kernel, where, &code, error);
    if (!wrong) wrong = vmc_bind(kernel, code.storages, code.alignment, operands, extras, words, error);
    for (int32_t place = 0; !wrong && place < kernel->scalars; place++)
        wrong = vmc_encode(kernel, &kernel->scalar[place], scalars[place], &words[kernel->tensors + place], error);
    if (!wrong) wrong = run(kernel, &code, words, where, error);
    if (!wrong && error) error->code = VMC_OK;
    return wrong;
}

/* TVM-FFI: TVMFFIAny, TVMFFIObject, TVMFFITypeIndex of tvm/ffi/c_api.h; DLTensor of dlpack/dlpack.h. */

enum { ANY_NONE = 0, ANY_INT = 1, ANY_BOOL = 2, ANY_FLOAT = 3, ANY_DLTENSOR = 7, ANY_TENSOR = 70 };
enum { OBJECT_HEADER = 24 };
enum { DL_CPU = 1, DL_CUDA = 2, DL_CUDA_HOST = 3, DL_CUDA_MANAGED = 13 };

struct any {
    int32_t type;
    uint32_t padding;
    union {
        int64_t integer;
        double real;
        char *pointer;
    } value;
};

struct dl_tensor {
    char *data;
    int32_t device_type, device;
    int32_t rank;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *extents, *strides;
    uint64_t offset;
};

/* A function of libtvm_ffi, which whoever calls by its convention has loaded; NULL if that is not so. */
static void *of_tvm_ffi(const char *name) {
    void *found = dlsym(RTLD_DEFAULT, name);
    if (found) return found;
    void *library = dlopen("libtvm_ffi.so", RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return NULL;
    found = dlsym(library, name);
    dlclose(library);
    return found;
}

static int raise(const vmc_error *error) {
    static const char *const kinds[] = {"RuntimeError", "ValueError", "RuntimeError", "MemoryError", "RuntimeError",
                                        "RuntimeError"};
    void (*set)(const char *, const char *) = (void (*)(const char *, const char *))of_tvm_ffi("TVMFFIErrorSetRaisedFromCStr");
    if (set) set(kinds[error->code], error->message);
    return -1;
}

static int is_contiguous(const struct dl_tensor *tensor) {
    int64_t expected = 1;
    if (!tensor->strides) return 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        if (tensor->extents[axis] == 0) return 1;
    for (int32_t axis = tensor->rank - 1; axis >= 0; axis--) {
        if (tensor->extents[axis] != 1 && tensor->strides[axis] != expected) return 0;
        expected *= tensor->extents[axis];
    }
    return 1;
}

/* The device that tensors lie on; all must lie on the same. */
static int place_tensor(const struct vmc_kernel *kernel, const struct vmc_tensor *parameter,
                        const struct dl_tensor *tensor, vmc_where *where, vmc_error *error) {
    int32_t type = tensor->device_type, device = tensor->device;
    if (type == DL_CUDA_HOST) type = DL_CPU;
    if (type == DL_CUDA_MANAGED) type = DL_CUDA;
    if (type == DL_CPU) device = 0;
    if (!where->device_type) {
        where->device_type = type;
        where->device = device;
    }
    if (where->device_type == type && where->device == device) return VMC_OK;
    return vmc_fail(error, VMC_ARGUMENT, "%s: argument `%s`: is on device %d of type %d, and others are on device %d of type %d",
                    kernel->name, parameter->name, device, type, where->device, where->device_type);
}

static int take_tensor(const struct vmc_kernel *kernel, int32_t place, const struct any *argument,
                       struct vmc_operand *operand, vmc_where *where, vmc_error *error) {
    const struct vmc_tensor *parameter = &kernel->tensor[place];
    const struct dl_tensor *tensor;
    if (argument->type == ANY_TENSOR)
        tensor = (const struct dl_tensor *)(argument->value.pointer + OBJECT_HEADER);
    else if (argument->type == ANY_DLTENSOR && argument->value.pointer)
        tensor = (const struct dl_tensor *)argument->value.pointer;
    else
        return vmc_fail(error, VMC_ARGUMENT, "%s: argument `%s`: expected a tensor for %s", kernel->name, parameter->name,
                        parameter->shown);
    *operand = (struct vmc_operand){.data = tensor->data ? tensor->data + tensor->offset : NULL,
                                    .extents = tensor->extents,
                                    .rank = tensor->rank,
                                    .contiguous = is_contiguous(tensor),
                                    .code = tensor->code,
                                    .bits = tensor->bits,
                                    .lanes = tensor->lanes};
    return place_tensor(kernel, parameter, tensor, where, error);
}

static int take_number(const struct vmc_kernel *kernel, int32_t place, const struct any *argument, uint64_t *word,
                       vmc_error *error) {
    const struct vmc_scalar *scalar = &kernel->scalar[place];
    struct vmc_number number = {0};
    if (argument->type == ANY_INT || argument->type == ANY_BOOL)
        number.kind = VMC_SIGNED, number.integer = argument->value.integer;
    else if (argument->type == ANY_FLOAT)
        number.kind = VMC_FLOAT, number.real = argument->value.real;
    else
        return vmc_fail(error, VMC_ARGUMENT, "%s: argument `%s`: expected a number for %s", kernel->name, scalar->name,
                        scalar->shown);
    return vmc_encode(kernel, scalar, number, word, error);
}

static int take_arguments(const struct vmc_kernel *kernel, const struct any *arguments, int32_t count, uint64_t *words,
                          vmc_where *where, struct code *code, vmc_error *error) {
    struct vmc_operand operands[VMC_TENSORS];
    int64_t extras[VMC_SYMBOLS];
    int32_t tensors = 0, scalars = 0, wrong = VMC_OK;
    if (count != kernel->parameters + kernel->extras)
        return vmc_fail(error, VMC_ARGUMENT, "%s: takes %d arguments, got %d", kernel->name,
                        kernel->parameters + kernel->extras, count);
    for (int32_t place = 0; !wrong && place < kernel->parameters; place++) {
        if (kernel->is_scalar[place]) {
            wrong = take_number(kernel, scalars, &arguments[place], &words[kernel->tensors + scalars], error);
            scalars++;
        } else {
            wrong = take_tensor(kernel, tensors, &arguments[place], &operands[tensors], where, error);
            tensors++;
        }
    }
    for (int32_t place = 0; !wrong && place < kernel->extras; place++) {
        const struct any *argument = &arguments[kernel->parameters + place];
        if (argument->type != ANY_INT)
            return vmc_fail(error, VMC_ARGUMENT, "%s: symbol `%s`: expected an integer", kernel->name,
                            kernel->symbol[kernel->extra[place]]);
        extras[place] = argument->value.integer;
    }
    if (!where->device_type) where->device_type = VMC_CPU;
    if (!wrong) wrong = code_for(kernel, where, code, error);
    if (!wrong) wrong = vmc_bind(kernel, code->storages, code->alignment, operands, extras, words, error);
    return wrong;
}

/* The stream that whoever calls has set for a device; the default one if none was. */
static void *current_stream(int32_t device) {
    void *(*get)(int32_t, int32_t) = (void *(*)(int32_t, int32_t))of_tvm_ffi("TVMFFIEnvGetStream");
    return get ? get(DL_CUDA, device) : NULL;
}

int vmc_call_packed(const struct vmc_kernel *kernel, const void *arguments, int32_t count, void *result) {
    uint64_t words[VMC_TENSORS + VMC_SCALARS + VMC_SYMBOLS];
    struct any *returned = result;
    vmc_where where = {0};
    struct code code;
    vmc_error error;
    int wrong = take_arguments(kernel, arguments, count, words, &where, &code, &error);
    if (!wrong && code.image) where.stream = current_stream(where.device);
    if (!wrong) wrong = run(kernel, &code, words, &where, &error);
    if (wrong) return raise(&error);
    *returned = (struct any){.type = ANY_NONE};
    return 0;
}
