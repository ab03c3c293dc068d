#ifndef VMC_API_1
#define VMC_API_1

#include <stdint.h>

/* What a function of a library returns, and writes to `code`. */
enum {
    VMC_OK = 0,
    VMC_ARGUMENT = 1,  /* an argument does not fit; nothing was run or written */
    VMC_EXECUTION = 2, /* an assert of the kernel failed while it ran */
    VMC_MEMORY = 3,    /* there is no scratch memory */
    VMC_TARGET = 4,    /* the library has no code for this machine or this device */
    VMC_DRIVER = 5     /* the CUDA driver is missing or reports an error */
};

typedef struct vmc_error {
    int32_t code;
    char message[1020];
} vmc_error;

/* A tensor that is read, and one that is written: the first element, and the extents in elements, the outermost first.
   Elements are dense and row-major, except where the comment on a function says that a tensor is packed. */
typedef struct vmc_input {
    const void *data;
    int64_t extents[8];
} vmc_input;

typedef struct vmc_output {
    void *data;
    int64_t extents[8];
} vmc_output;

enum { VMC_CPU = 1, VMC_CUDA = 2 };

/* Where a kernel runs; NULL instead of one is the CPU. */
typedef struct vmc_where {
    int32_t device_type; /* VMC_CPU or VMC_CUDA: where all tensors lie */
    int32_t device;      /* the number of the GPU */
    void *stream;        /* a CUstream (or cudaStream_t); NULL is the default stream */
    int32_t threads;     /* on the CPU at most so many; 0 sets no limit of its own */
} vmc_where;

#endif
