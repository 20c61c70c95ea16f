/* A connection to a live room of Bilibili: first HTTP requests (bilibili_web.c, or bilibili_project.c for the open
 * platform), then a WebSocket (bilibili_source.c). */
#ifndef ISHOW_PLATFORMS_BILIBILI_SESSION_H
#define ISHOW_PLATFORMS_BILIBILI_SESSION_H

#include "net/websocket.h"
#include "platforms/bilibili.h"
#include "platforms/source.h"

typedef enum bilibili_step { STEP_BUVID, STEP_KEY, STEP_ROOM, STEP_HOSTS, STEP_PROJECT, STEP_SOCKET } bilibili_step;

typedef struct bilibili_session {
    http_call call, heartbeat; /* heartbeat: of the open platform's project */
    websocket socket;
    bilibili_room room;
    bilibili_step step;
    unsigned epoch, next_host;
    int refused; /* in this attempt the platform has refused the identity */
    char buvid3[128], buvid4[160],
        key[33];       /* the web page's identity, and the key that requests are signed with today */
    char project[128]; /* the open platform's game_id; "": none is open */
    double project_beat_at;
    json_t *links; /* the project's addresses */
    unsigned project_failures;
    char auth[1200]; /* the authentication packet of the WebSocket */
    size_t n_auth;
    void (*connect)(ishow_chat_source *s, const char *url); /* opens the WebSocket; call when auth is set */
} bilibili_session;

/* These begin an attempt with its first request. */
void bilibili_web_start(ishow_chat_source *s);
void bilibili_project_start(ishow_chat_source *s);

/* The open platform's project. */
void bilibili_project_beat(ishow_chat_source *s); /* at project_beat_at */
void bilibili_project_lost(ishow_chat_source *s); /* the next attempt opens a new one */
void bilibili_project_end(
    ishow_chat_source *s); /* tells the platform, which would otherwise keep it open until heartbeats are missing */

#endif
