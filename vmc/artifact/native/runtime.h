/* What the parts of a library share: the tables that `vmc.artifact.tables` writes for each kernel, and the functions that
   read them. Argument words are those of `vmc.backends.cpu.kernel`: addresses of tensors, bits of scalars, symbols. */
#ifndef VMC_RUNTIME_H
#define VMC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

#define VMC_RANK 8
#define VMC_TENSORS 64
#define VMC_SYMBOLS 64
#define VMC_SCALARS 64
#define VMC_STACK 16
#define VMC_COUNTING_ARENA 4096
#define VMC_DEVICE_ALIGNMENT 16
#define VMC_GRIDS 16 /* of a launch on a GPU */
#define VMC_WORKSPACE 16 /* of a launch on a GPU: tensors, and the bytes that they start at multiples of */
#define VMC_WORKSPACE_ALIGNMENT 256

/* An extent. `program` is in postfix order; `symbol` is the number of the symbol that the extent is, or -1. */
struct vmc_extent {
    const char *text;
    const int64_t *program;
    int32_t length;
    int32_t symbol;
};

enum { VMC_CONSTANT, VMC_SYMBOL, VMC_ADD, VMC_SUB, VMC_MUL, VMC_DIV, VMC_MOD, VMC_CDIV, VMC_MIN, VMC_MAX };

/* A type as DLPack names it. */
struct vmc_element {
    uint8_t code, bits;
};

struct vmc_tensor {
    const char *name, *shown; /* "x" and "x: f16[M, K]" */
    const char *elements, *packed; /* in words: what its arrays hold, and what its bytes are where it is packed */
    struct vmc_element accepted[2];
    const struct vmc_extent *extents;
    int32_t rank, width, written;
    int32_t block_elements, block_bytes; /* of a block format; else 0 */
};

/* How a tensor lies: in blocks of `pitch` bits, or densely, if `block` is NULL. */
struct vmc_storage {
    const int64_t *block;
    int64_t pitch;
};

enum { VMC_SIGNED, VMC_UNSIGNED, VMC_FLOAT };

struct vmc_scalar {
    const char *name, *shown;
    int32_t kind, width, exponent_bits; /* of a float: those of IEEE 754, a sign before and the mantissa behind them */
    double least, most;
};

/* A kernel's code for one level of processors. */
struct vmc_version {
    int64_t (*blocks)(const void *arguments, void *arena, int64_t *facts);
    void (*worker)(void *record, int64_t start);
    int64_t arena;
    const char *const *sites;
};

/* A grid of a launch on a GPU, whose blocks `blocks` counts; one without any is left out. */
struct vmc_grid {
    const char *entry;
    int32_t threads, shared;
    int64_t (*blocks)(const void *arguments, void *arena, int64_t *facts);
};

/* A kernel's code for GPUs of compute capability `major`.`minor`: a cubin, for `exact`ly those or for later ones of the
   same major number, or PTX for all later ones. A launch is one of each of the grids, in order, which take the same
   parameters: the last ones are the tensors of a workspace, of which `workspace` gives the bytes, and before them, if it
   `counts` them, the number of the device's multiprocessors, as one more symbol. */
struct vmc_image {
    const char *arch;
    const void *data;
    int32_t major, minor, exact, is_ptx;
    const struct vmc_grid *grids;
    int32_t grid_count;
    const struct vmc_extent *workspace;
    int32_t workspace_count, counts;
    const struct vmc_storage *storages;
};

struct vmc_kernel {
    const char *name;
    int32_t parameters, tensors, scalars, symbols, extras;
    const uint8_t *is_scalar; /* of each parameter, in order */
    const struct vmc_tensor *tensor;
    const struct vmc_scalar *scalar;
    const char *const *symbol;
    const int32_t *extra; /* the symbols that no array's shape shows, which follow the parameters */
    const struct vmc_storage *storages; /* of code for the CPU */
    const struct vmc_version *versions; /* one for each level of the library; NULL without code for the CPU */
    int32_t serial;
    const struct vmc_image *images;
    int32_t image_count;
};

/* What is passed for a tensor. `declared` tells that `extents` are those of the declaration even where bytes are packed. */
struct vmc_operand {
    void *data;
    const int64_t *extents;
    int32_t rank, declared, contiguous;
    int32_t code, bits, lanes;
};

/* A number that is passed for a scalar: `real` if it is a VMC_FLOAT, else the bits of a signed or unsigned integer. */
struct vmc_number {
    int32_t kind;
    int64_t integer;
    double real;
};

int vmc_fail(vmc_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Checks tensors and symbols, and writes their words. Addresses are multiples of `alignment`, or of 0 as elements are. */
int vmc_bind(const struct vmc_kernel *kernel, const struct vmc_storage *storages, int32_t alignment,
             const struct vmc_operand *operands, const int64_t *extras, uint64_t *words, vmc_error *error);

/* Checks a number, and writes the bits of the scalar. */
int vmc_encode(const struct vmc_kernel *kernel, const struct vmc_scalar *scalar, struct vmc_number number,
               uint64_t *word, vmc_error *error);

/* The value of an extent. Returns 1 for a division by zero, 2 for a number of more than 63 bits. */
int vmc_extent(const struct vmc_extent *extent, const int64_t *symbols, int64_t *value);

/* The bytes of a tensor of these extents; -1 if one is negative or they are too many. */
int64_t vmc_bytes(const struct vmc_tensor *tensor, const struct vmc_storage *storage, const int64_t *extents);

/* Run a kernel whose words are filled in. */
int vmc_run_cpu(const struct vmc_kernel *kernel, const uint64_t *words, int32_t threads, vmc_error *error);
int vmc_run_cuda(const struct vmc_kernel *kernel, const struct vmc_image *image, const uint64_t *words,
                 const vmc_where *where, vmc_error *error);

/* The image for a device. */
int vmc_choose_image(const struct vmc_kernel *kernel, int32_t device, const struct vmc_image **chosen, vmc_error *error);

/* What the functions of the header call: all extents are those of the declarations. */
int vmc_call(const struct vmc_kernel *kernel, const vmc_input *tensors, const struct vmc_number *scalars,
             const int64_t *extras, const vmc_where *where, vmc_error *error);

/* What the functions of TVM-FFI call. */
int vmc_call_packed(const struct vmc_kernel *kernel, const void *arguments, int32_t count, void *result);

/* The tables. Levels go from the least to the most; `needs` are words of which all bits must be set. */
extern const struct vmc_kernel vmc_kernels[];
extern const int32_t vmc_kernel_count;
extern const char *const vmc_levels[];
extern const int32_t vmc_level_count;
extern const int32_t vmc_word_count;
extern const uint32_t vmc_needs[];
extern const uint32_t vmc_leaves[][2];
extern const char vmc_manifest[];
extern const char vmc_manifest_end[];

/* The number of the best level that this processor can execute; -1 if it can execute none. */
int32_t vmc_level(vmc_error *error);

#endif
