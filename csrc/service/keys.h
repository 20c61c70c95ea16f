/* Keys that users entered: a file each in the state directory, readable by its owner alone. */
#ifndef ISHOW_SERVICE_KEYS_H
#define ISHOW_SERVICE_KEYS_H

/* Writes dir/NAME-key, mode 600; it is replaced at once or not at all. 0: it could not be written. */
int key_keep(const char *dir, const char *name, const char *key);
/* What it holds, without the end of the line; free() it. NULL: none, or others could read it. */
char *key_read(const char *dir, const char *name);

#endif
