/* A chat on the fakes of fake_chat.h, with one listener whose events are recorded. Any error fails the test. */
#ifndef CHAT_RIG_H
#define CHAT_RIG_H

#include <jansson.h>

#include "fake_chat.h"

enum { LOG_MAX = 4096 };

typedef struct heard_event {
    char name[16];
    json_t *data;
    char id[64];
} heard_event;

typedef struct rig {
    fake_clock clock;
    fake_synth synth;
    fake_journal *journal;
    ishow_chat_options o;
    ishow_chat *chat;
    ishow_chat_reader *reader;
    heard_event log[LOG_MAX];
    size_t n_log;
    char *text;
    size_t n_text;
    long handles;
} rig;

void open_chat(rig *r);
rig *make(void); /* with a clock that stands still, without limits; the chat is not created yet */
void forget_log(rig *r);
void close_chat(rig *r);
void unmake(rig *r); /* checks that no handle is left */

/* Appends a reader's events to a log of n_log entries and checks that each has a name and an object. Returns the new
 * length; `rest` keeps the bytes of an incomplete event. */
size_t hear(ishow_chat_reader *reader, heard_event *log, size_t n_log, char **rest, size_t *n_rest);
void listen_now(rig *r);
void run(rig *r, double seconds); /* and listens */

const char *field(const heard_event *t, const char *name);
double number(const heard_event *t, const char *name);
size_t count(const rig *r, const char *name);
const heard_event *nth(const rig *r, const char *name,
                       size_t n); /* the n-th event with this name; NULL: there is none */
const char *heard(const rig *r);  /* ids of the clips that started, such as "a b c" */

ishow_chat_verdict say_as(rig *r, const char *id, const char *user, const char *text, ishow_chat_priority priority);
ishow_chat_verdict say(rig *r, const char *id, const char *text, ishow_chat_priority priority); /* each id once */
ishow_chat_counts counts(rig *r);

/* 100 characters: a clip of 6 s, synthesised in 0.6 s. */
#define LONG "a012345678 b012345678 c012345678 d012345678 e012345678 f012345678 g012345678 h012345678 i012345678 j"

#endif
