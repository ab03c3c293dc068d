/* Executes a kernel's blocks one after the other: launch FILE SERIAL.

   FILE holds 8-byte words: the number of tensors and the size of each in bytes, the number of other arguments and those;
   then the tensors' bytes. It is overwritten by the tensors' bytes after the launch. The exit status is that of the kernel. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA (1 << 22)

int64_t blocks(int64_t *arguments, void *arena, int64_t *facts) __asm__(ENTRY ".blocks");
void chunk(int64_t *arguments, void *arena, int64_t first, int64_t last, int64_t *status) __asm__(ENTRY ".chunk");

static int64_t word(FILE *file) {
    int64_t value;
    if (fread(&value, 8, 1, file) != 1)
        exit(100);
    return value;
}

int main(int count, char **words) {
    FILE *file = fopen(words[1], "rb");
    int64_t arguments[64] = {0}, sizes[64], facts[2] = {0}, status = 0;
    int64_t tensors = word(file);
    for (int64_t i = 0; i < tensors; i++)
        sizes[i] = word(file);
    int64_t others = word(file);
    for (int64_t i = 0; i < others; i++)
        arguments[tensors + i] = word(file);
    for (int64_t i = 0; i < tensors; i++) {
        void *memory = aligned_alloc(64, (sizes[i] + 64) / 64 * 64);
        if (fread(memory, 1, sizes[i], file) != (size_t)sizes[i])
            return 101;
        arguments[i] = (int64_t)memory;
    }
    fclose(file);
    void *arena = aligned_alloc(64, ARENA);
    memset(arena, 0, ARENA);
    int64_t total = blocks(arguments, arena, facts);
    if (total < 0 || facts[0] > ARENA)
        return 102;
    memset(arena, 0, ARENA);
    if (words[2][0] == '1')
        chunk(arguments, arena, 0, total, &status);
    else
        for (int64_t i = 0; i < total && !status; i++)
            chunk(arguments, arena, i, i + 1, &status);
    file = fopen(words[1], "wb");
    for (int64_t i = 0; i < tensors; i++)
        fwrite((void *)arguments[i], 1, sizes[i], file);
    fclose(file);
    return (int)status;
}
