/* Keys that users entered: a file each in the state directory, readable by its owner alone. */
#ifndef ISHOW_SERVICE_KEYS_H
#define ISHOW_SERVICE_KEYS_H

/* Writes dir/NAME-key, mode 600, atomically. 0: it could not be written. */
int key_keep(const char *dir, const char *name, const char *key);
/* The key, without the end of the line; free() it. NULL: there is none, or other users may read the file. */
char *key_read(const char *dir, const char *name);

#endif
