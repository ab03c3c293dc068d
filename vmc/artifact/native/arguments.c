/* From what a caller passes to argument words; everything is checked before anything runs, as `vmc.runtime.launch` does. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime.h"

#define LIMIT ((int64_t)1 << 62)

int vmc_fail(vmc_error *error, int code, const char *format, ...) {
    if (error) {
        va_list values;
        va_start(values, format);
        error->code = code;
        vsnprintf(error->message, sizeof error->message, format, values);
        va_end(values);
    }
    return code;
}

/* Text */

struct text {
    char data[320];
    size_t size;
};

static void append(struct text *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    size_t room = sizeof text->data - text->size;
    int written = vsnprintf(text->data + text->size, room, format, values);
    va_end(values);
    if (written > 0) text->size += (size_t)written < room ? (size_t)written : room - 1;
}

static void append_element(struct text *text, const struct vmc_operand *operand) {
    static const char *const names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
    static const char *const small[] = {"float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn",
                                        "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
                                        "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"};
    if (operand->code == 6 && operand->bits == 8)
        append(text, "bool");
    else if (operand->code >= 0 && operand->code < 7)
        append(text, "%s%d", names[operand->code], operand->bits);
    else if (operand->code >= 7 && operand->code < 18)
        append(text, "%s", small[operand->code - 7]);
    else
        append(text, "type %d of %d bits", operand->code, operand->bits);
    if (operand->lanes != 1) append(text, "x%d", operand->lanes);
}

/* `float16[3, 4]`; of a C caller, who names no type, the extents alone. */
static struct text shown(const struct vmc_operand *operand) {
    struct text text = {.size = 0};
    if (!operand->declared) append_element(&text, operand);
    append(&text, "[");
    for (int32_t axis = 0; axis < operand->rank; axis++)
        append(&text, "%s%lld", axis ? ", " : "", (long long)operand->extents[axis]);
    append(&text, "]");
    return text;
}

static int argument(const struct vmc_kernel *kernel, const char *name, vmc_error *error, const char *format, ...) {
    if (error) {
        va_list values;
        va_start(values, format);
        int start = snprintf(error->message, sizeof error->message, "%s: argument `%s`: ", kernel->name, name);
        if (start >= 0 && (size_t)start < sizeof error->message)
            vsnprintf(error->message + start, sizeof error->message - (size_t)start, format, values);
        va_end(values);
        error->code = VMC_ARGUMENT;
    }
    return VMC_ARGUMENT;
}

/* Extents */

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

int vmc_extent(const struct vmc_extent *extent, const int64_t *symbols, int64_t *value) {
    const int64_t *program = extent->program;
    int32_t length = extent->length;
    int64_t stack[VMC_STACK];
    int32_t size = 0;
    for (int32_t at = 0; at < length; at++) {
        int64_t operation = program[at];
        if (operation == VMC_CONSTANT || operation == VMC_SYMBOL) {
            int64_t operand = program[++at];
            stack[size++] = operation == VMC_CONSTANT ? operand : symbols[operand];
            continue;
        }
        int64_t right = stack[--size], left = stack[size - 1], *result = &stack[size - 1];
        int overflow = 0;
        switch (operation) {
        case VMC_ADD: overflow = __builtin_add_overflow(left, right, result); break;
        case VMC_SUB: overflow = __builtin_sub_overflow(left, right, result); break;
        case VMC_MUL: overflow = __builtin_mul_overflow(left, right, result); break;
        case VMC_MIN: *result = left < right ? left : right; break;
        case VMC_MAX: *result = left > right ? left : right; break;
        default:
            if (right == 0) return 1;
            if (right == -1 && left == INT64_MIN) return 2;
            int64_t quotient = floor_div(left, right);
            if (operation == VMC_DIV) *result = quotient;
            else if (operation == VMC_MOD) *result = left - quotient * right;
            else *result = quotient + (left - quotient * right != 0);
        }
        if (overflow) return 2;
    }
    *value = stack[0];
    return 0;
}

static int is_packed(const struct vmc_tensor *tensor, const struct vmc_storage *storage) {
    return !tensor->block_elements && (tensor->width < 8 || storage->block);
}

int64_t vmc_bytes(const struct vmc_tensor *tensor, const struct vmc_storage *storage, const int64_t *extents) {
    int64_t count = 1, bits;
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        int64_t extent = extents[axis];
        if (extent < 0) return -1;
        if (storage->block) extent = extent / storage->block[axis] + (extent % storage->block[axis] != 0);
        if (tensor->block_elements && axis == tensor->rank - 1) extent /= tensor->block_elements;
        if (__builtin_mul_overflow(count, extent, &count)) return -1;
    }
    int64_t each = storage->block ? storage->pitch : tensor->block_elements ? 8 * (int64_t)tensor->block_bytes : tensor->width;
    if (__builtin_mul_overflow(count, each, &bits) || bits >= LIMIT) return -1;
    return (bits + 7) / 8;
}

/* The extents of the declaration that an operand shows. Returns 1 where its bytes show none. */
static int known_extents(const struct vmc_tensor *tensor, const struct vmc_storage *storage,
                         const struct vmc_operand *operand, int64_t *extents) {
    int32_t rank = tensor->rank;
    if (!operand->declared && is_packed(tensor, storage)) return 1;
    if (!operand->declared && tensor->block_elements) {
        int64_t last = operand->rank ? operand->extents[operand->rank - 1] : 0;
        if (operand->rank == rank + 1 && last == tensor->block_bytes) {
            memcpy(extents, operand->extents, sizeof *extents * (size_t)rank);
            extents[rank - 1] *= tensor->block_elements;
        } else if (operand->rank == rank && rank && last % tensor->block_bytes == 0) {
            memcpy(extents, operand->extents, sizeof *extents * (size_t)rank);
            extents[rank - 1] = last / tensor->block_bytes * tensor->block_elements;
        } else {
            return 1;
        }
        return 0;
    }
    memcpy(extents, operand->extents, sizeof *extents * (size_t)rank);
    return 0;
}

/* One tensor, before anything is known of the symbols. */
static int check_operand(const struct vmc_kernel *kernel, const struct vmc_tensor *tensor,
                         const struct vmc_storage *storage, const struct vmc_operand *operand, vmc_error *error) {
    int bytewise = tensor->block_elements || is_packed(tensor, storage);
    if (!operand->declared) {
        const struct vmc_element byte = {1, 8}, *accepted = bytewise ? &byte : tensor->accepted;
        int fits = 0;
        for (int32_t choice = 0; choice < (bytewise ? 1 : 2); choice++)
            fits |= operand->code == accepted[choice].code && operand->bits == accepted[choice].bits;
        if (!fits || operand->lanes != 1)
            return argument(kernel, tensor->name, error, "expected %s%s%s for %s, got %s", bytewise ? "uint8 (" : "",
                            bytewise ? tensor->packed : tensor->elements, bytewise ? ")" : "", tensor->shown,
                            shown(operand).data);
        if (!operand->contiguous)
            return argument(kernel, tensor->name, error, "must be contiguous (row-major), got a strided %s",
                            shown(operand).data);
    }
    if (!bytewise && operand->rank != tensor->rank)
        return argument(kernel, tensor->name, error, "expected rank %d for %s, got rank %d, %s", tensor->rank,
                        tensor->shown, operand->rank, shown(operand).data);
    return VMC_OK;
}

static int check_size(const struct vmc_kernel *kernel, const struct vmc_tensor *tensor,
                      const struct vmc_storage *storage, const struct vmc_operand *operand, const int64_t *symbols,
                      int64_t *size, vmc_error *error) {
    int64_t extents[VMC_RANK], given[VMC_RANK], elements = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        const struct vmc_extent *extent = &tensor->extents[axis];
        int wrong = vmc_extent(extent, symbols, &extents[axis]);
        if (wrong == 1)
            return argument(kernel, tensor->name, error, "%s: division by zero in %s", tensor->shown, extent->text);
        if (wrong || __builtin_mul_overflow(elements, extents[axis] < 0 ? 1 : extents[axis], &elements))
            return argument(kernel, tensor->name, error, "%s is too large", tensor->shown);
        if (extents[axis] < 0)
            return argument(kernel, tensor->name, error, "%s has the negative extent %s = %lld", tensor->shown,
                            extent->text, (long long)extents[axis]);
    }
    if (tensor->block_elements && extents[tensor->rank - 1] % tensor->block_elements)
        return argument(kernel, tensor->name, error, "the last extent %lld is not made of whole blocks of %d",
                        (long long)extents[tensor->rank - 1], tensor->block_elements);
    *size = vmc_bytes(tensor, storage, extents);
    if (*size < 0) return argument(kernel, tensor->name, error, "%s is too large", tensor->shown);
    if (!known_extents(tensor, storage, operand, given)) {
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            if (given[axis] != extents[axis])
                return argument(kernel, tensor->name, error, "expected extent %lld (%s) along axis %d of %s, got %s",
                                (long long)extents[axis], tensor->extents[axis].text, axis, tensor->shown,
                                shown(operand).data);
        return VMC_OK;
    }
    int64_t bytes = 1;
    for (int32_t axis = 0; axis < operand->rank; axis++)
        if (__builtin_mul_overflow(bytes, operand->extents[axis], &bytes)) bytes = -1;
    if (bytes != *size) {
        struct text text = {.size = 0};
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            append(&text, "%s%lld", axis ? ", " : "", (long long)extents[axis]);
        return argument(kernel, tensor->name, error, "expected %lld bytes (%s[%s]), got %lld", (long long)*size,
                        tensor->packed, text.data, (long long)bytes);
    }
    return VMC_OK;
}

int vmc_bind(const struct vmc_kernel *kernel, const struct vmc_storage *storages, int32_t alignment,
             const struct vmc_operand *operands, const int64_t *extras, uint64_t *words, vmc_error *error) {
    int64_t symbols[VMC_SYMBOLS] = {0}, sizes[VMC_TENSORS];
    int32_t source[VMC_SYMBOLS]; /* the tensor that told a symbol, -2 for the call, -1 while it is not known */
    for (int32_t place = 0; place < kernel->symbols; place++) source[place] = -1;
    for (int32_t place = 0; place < kernel->extras; place++) {
        int32_t symbol = kernel->extra[place];
        if (extras[place] < 0)
            return vmc_fail(error, VMC_ARGUMENT, "%s: symbol `%s`: an extent must not be negative, got %lld",
                            kernel->name, kernel->symbol[symbol], (long long)extras[place]);
        symbols[symbol] = extras[place];
        source[symbol] = -2;
    }
    for (int32_t place = 0; place < kernel->tensors; place++) {
        const struct vmc_tensor *tensor = &kernel->tensor[place];
        const struct vmc_operand *operand = &operands[place];
        int64_t extents[VMC_RANK];
        int wrong = check_operand(kernel, tensor, &storages[place], operand, error);
        if (wrong) return wrong;
        if (known_extents(tensor, &storages[place], operand, extents)) continue;
        for (int32_t axis = 0; axis < tensor->rank; axis++) {
            int32_t symbol = tensor->extents[axis].symbol;
            if (symbol < 0) continue;
            if (source[symbol] == -1) {
                symbols[symbol] = extents[axis];
                source[symbol] = place;
            } else if (symbols[symbol] != extents[axis]) {
                const char *by = source[symbol] < 0 ? "the call" : kernel->tensor[source[symbol]].name;
                return argument(kernel, tensor->name, error, "symbol `%s` is %lld by `%s`, but %lld by `%s`, %s",
                                kernel->symbol[symbol], (long long)symbols[symbol], by, (long long)extents[axis],
                                tensor->name, shown(operand).data);
            }
        }
    }
    for (int32_t symbol = 0; symbol < kernel->symbols; symbol++)
        if (source[symbol] == -1)
            return vmc_fail(error, VMC_ARGUMENT, "%s: symbol `%s` is not known: packed bytes have no shape",
                            kernel->name, kernel->symbol[symbol]);
    for (int32_t place = 0; place < kernel->tensors; place++) {
        const struct vmc_tensor *tensor = &kernel->tensor[place];
        int wrong = check_size(kernel, tensor, &storages[place], &operands[place], symbols, &sizes[place], error);
        if (wrong) return wrong;
        int bytewise = tensor->block_elements || is_packed(tensor, &storages[place]);
        uintptr_t address = (uintptr_t)operands[place].data;
        if (!address && sizes[place])
            return argument(kernel, tensor->name, error, "is a null pointer");
        int32_t wanted = alignment ? alignment : bytewise ? 1 : tensor->width / 8;
        if (sizes[place] && address & (uintptr_t)(wanted - 1))
            return argument(kernel, tensor->name, error, "must be aligned to %d bytes, got the address %#llx", wanted,
                            (unsigned long long)address);
        words[place] = address;
    }
    for (int32_t one = 0; one < kernel->tensors; one++)
        for (int32_t other = one + 1; other < kernel->tensors; other++) {
            const struct vmc_tensor *a = &kernel->tensor[one], *b = &kernel->tensor[other];
            if ((!a->written && !b->written) || !sizes[one] || !sizes[other]) continue;
            if (words[one] < words[other] + (uint64_t)sizes[other] && words[other] < words[one] + (uint64_t)sizes[one])
                return vmc_fail(error, VMC_ARGUMENT, "%s: `%s` and `%s` overlap in memory, and `%s` is written",
                                kernel->name, a->name, b->name, a->written ? a->name : b->name);
        }
    memcpy(words + kernel->tensors + kernel->scalars, symbols, sizeof *symbols * (size_t)kernel->symbols);
    return VMC_OK;
}

/* Scalars */

/* A finite number, no larger than the type's largest, rounded to nearest even, as the bits of a float of IEEE 754. */
static uint64_t rounded(double value, int width, int exponent_bits) {
    uint64_t bits, mantissa, code;
    memcpy(&bits, &value, sizeof bits);
    int fraction = width - 1 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = (int)(bits >> 52 & 0x7FF);
    mantissa = (bits & (((uint64_t)1 << 52) - 1)) | (exponent ? (uint64_t)1 << 52 : 0);
    exponent = (exponent ? exponent : 1) - 1023 + bias;
    int shift = 52 - fraction + (exponent < 1 ? 1 - exponent : 0);
    if (shift > 54) shift = 54;
    code = shift ? mantissa >> shift : mantissa;
    uint64_t rest = shift ? mantissa & (((uint64_t)1 << shift) - 1) : 0, half = shift ? (uint64_t)1 << (shift - 1) : 1;
    if (shift && (rest > half || (rest == half && (code & 1)))) code++;
    if (exponent > 1) code += (uint64_t)(exponent - 1) << fraction;
    return code | (bits >> 63) << (width - 1);
}

int vmc_encode(const struct vmc_kernel *kernel, const struct vmc_scalar *scalar, struct vmc_number number,
               uint64_t *word, vmc_error *error) {
    uint64_t mask = scalar->width == 64 ? UINT64_MAX : ((uint64_t)1 << scalar->width) - 1;
    if (scalar->kind != VMC_FLOAT) {
        if (number.kind == VMC_FLOAT)
            return argument(kernel, scalar->name, error, "expected an integer for %s, got %g", scalar->shown, number.real);
        int64_t most = (int64_t)(mask >> 1), least = -most - 1, value = number.integer;
        int fits = least <= value && value <= most;
        if (scalar->kind == VMC_UNSIGNED)
            fits = (value >= 0 || number.kind == VMC_UNSIGNED) && (uint64_t)value <= mask;
        if (!fits)
            return argument(kernel, scalar->name, error, "%lld is outside the range of %s", (long long)value, scalar->shown);
        *word = (uint64_t)value & mask;
        return VMC_OK;
    }
    double value = number.kind == VMC_FLOAT ? number.real : (double)number.integer;
    if (isfinite(value) && !(scalar->least <= value && value <= scalar->most))
        return argument(kernel, scalar->name, error, "%g is outside the range of %s, %g to %g", value, scalar->shown,
                        scalar->least, scalar->most);
    if (isfinite(value)) {
        *word = rounded(value, scalar->width, scalar->exponent_bits);
        return VMC_OK;
    }
    int fraction = scalar->width - 1 - scalar->exponent_bits;
    uint64_t infinity = (((uint64_t)1 << scalar->exponent_bits) - 1) << fraction;
    if (isnan(value)) *word = infinity | (uint64_t)1 << (fraction - 1);
    else *word = infinity | (uint64_t)(value < 0) << (scalar->width - 1);
    return VMC_OK;
}
