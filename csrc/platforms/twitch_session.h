/* A connection to Twitch: over IRC (twitch_source.c), or by EventSub over a WebSocket (twitch_eventsub.c), with the
 * emotes of other services (twitch_emotes.c). */
#ifndef ISHOW_PLATFORMS_TWITCH_SESSION_H
#define ISHOW_PLATFORMS_TWITCH_SESSION_H

#include "net/websocket.h"
#include "platforms/emote_words.h"
#include "platforms/source.h"
#include "platforms/twitch.h"

typedef enum twitch_step { TWITCH_VALIDATES, TWITCH_ASKS_USER, TWITCH_SUBSCRIBES } twitch_step;

typedef struct twitch_session {
    connection connection;
    ishow_buffer part; /* of a line that is not whole yet */
    int skips;         /* the rest of a line that was too long is skipped */
    unsigned epoch;    /* incremented by every stop, so that a reader notices that its connection has been closed */
    unsigned pings;
    char nick[64];
    irc_line line;
    /* EventSub */
    websocket sockets[2]; /* the one that is read, and the one that the server asks to move to */
    int current, moves;   /* moves: the other one connects */
    http_call call;
    twitch_step step;
    unsigned subscribed; /* number of types that are subscribed to */
    int no_scope;        /* the token may not read by EventSub */
    char client_id[64], reader_id[32], room_id[32], session_id[256];
    /* emotes */
    http_call emotes;
    emote_words *words, *new_words; /* new_words: while lists come */
    unsigned list;
    double words_at; /* time at which `words` was complete */
} twitch_session;

int twitch_uses_eventsub(const ishow_chat_source *s);
void twitch_eventsub_start(ishow_chat_source *s);

/* Call when the connection is live and room_id is known. Requests the lists, unless they are recent. */
void twitch_emotes_start(ishow_chat_source *s);

#endif
