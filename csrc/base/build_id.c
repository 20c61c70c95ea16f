/* The linker's build id, a hash of everything linked. Caches on disk that depend on the code include it in their
 * key. */
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static char id[2 * 64 + 1];

/* Finds the build id among a segment's notes; `out` is unchanged when there is none. */
static void read_notes(const char *notes, size_t size, size_t align, char *out, size_t capacity) {
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
        ElfW(Nhdr) head;
        memcpy(&head, notes + at, sizeof head);
        const size_t name = at + sizeof head, data = name + (head.n_namesz + align - 1) / align * align;
        if (data > size || head.n_descsz > size - data) return;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) &&
            2 * (size_t)head.n_descsz < capacity) {
            for (size_t i = 0; i < head.n_descsz; i++) snprintf(out + 2 * i, 3, "%02x", (unsigned char)notes[data + i]);
            return;
        }
        at = data + (head.n_descsz + align - 1) / align * align;
    }
}

/* Reads the notes of the loaded object that contains this function. */
static int look(struct dl_phdr_info *info, size_t size, void *self) {
    const uintptr_t here = (uintptr_t)self;
    int ours = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        ours |= p->p_type == PT_LOAD && here >= info->dlpi_addr + p->p_vaddr &&
                here < info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    for (int i = 0; ours && i < info->dlpi_phnum && !*id; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE)
            read_notes((const char *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, p->p_align == 8 ? 8 : 4, id,
                       sizeof id);
    }
    return ours;
}

static void find(void) { dl_iterate_phdr(look, (void *)(uintptr_t)ishow_build_id); }

const char *ishow_build_id(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return id;
}
