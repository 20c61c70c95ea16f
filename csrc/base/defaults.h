/* Default values and limits, each written once here or in the tables of engine/field.c (fields of a request, sizes of
 * an engine). C includes this file; Python reads both as `ishowtts._engine.DEFAULTS` (name in lower case without the
 * ISHOW_ prefix). */
#ifndef ISHOW_BASE_DEFAULTS_H
#define ISHOW_BASE_DEFAULTS_H

/* Sampling (F5-TTS; EPSS: arXiv 2505.19931). */
#define ISHOW_NFE_MIN          1
#define ISHOW_NFE_MAX          64
#define ISHOW_NFE_DEFAULT      7 /* steps of a model that states none */
#define ISHOW_CFG_STRENGTH_MAX 10.0
#define ISHOW_SWAY_MIN         (-1.0)
#define ISHOW_SWAY_MAX         0.5707963267948966 /* pi/2 - 1: keeps the grid monotonic */
#define ISHOW_TARGET_RMS       0.1
#define ISHOW_MAX_TEXT_CHARS   5000

/* Voices. */
#define ISHOW_REFERENCE_SECONDS_MIN 1.0
#define ISHOW_REFERENCE_SECONDS_MAX 30.0
#define ISHOW_CLIP_SECONDS_USED     8.0   /* of a longer clip, where its words are not needed */
#define ISHOW_REFERENCE_RMS_MIN     0.005 /* RMS of the speech in an uploaded clip, -46 dBFS */
#define ISHOW_REFERENCE_RMS_MAX     0.5
#define ISHOW_REFERENCE_CLIPPED_MAX 0.001 /* share of samples at full scale */
#define ISHOW_UPLOAD_BYTES_MAX      (10 * 1024 * 1024)
#define ISHOW_STORED_VOICES_MAX     200                 /* most voices and overrides made over HTTP */
#define ISHOW_STORED_BYTES_MAX      (512 * 1024 * 1024) /* most bytes of all their clips */

/* Pronunciations. */
#define ISHOW_LEXICON_MAX        10000
#define ISHOW_LEXICON_WORD_CHARS 100
#define ISHOW_LEXICON_SAID_CHARS 200

/* Engine. */
#define ISHOW_EARLY_SECONDS 1.5 /* first chunk of a streamed text, about */

/* Server. */
#define ISHOW_HOST            "127.0.0.1"
#define ISHOW_PORT            27121
#define ISHOW_BODY_BYTES_MAX  (64 * 1024) /* of a JSON request */
#define ISHOW_REQUEST_SECONDS 120         /* deadline of one synthesis */
#define ISHOW_DRAIN_SECONDS   20          /* after SIGTERM */
#define ISHOW_IDLE_SECONDS    30          /* for a whole request to arrive, or for a client to read something */
#define ISHOW_UPLOAD_SECONDS  120         /* for a whole upload to arrive */
/* Bytes a second after the first third of ISHOW_IDLE_SECONDS; a slower upload is closed. */
#define ISHOW_UPLOAD_RATE_MIN        8192
#define ISHOW_UPLOADS_MAX            8           /* received concurrently */
#define ISHOW_FORM_BYTES_MAX         (64 * 1024) /* of an upload without the clip */
#define ISHOW_CONNECTIONS_MAX        1024        /* open at once */
#define ISHOW_CONNECTIONS_PER_CLIENT 64          /* of one address, when other machines are served */

/* Live chat: sources. */
#define ISHOW_CHAT_TWITCH_URL                 "ircs://irc.chat.twitch.tv:6697"
#define ISHOW_CHAT_TWITCH_ID_URL              "https://id.twitch.tv"
#define ISHOW_CHAT_TWITCH_API_URL             "https://api.twitch.tv"
#define ISHOW_CHAT_TWITCH_EVENTS_URL          "wss://eventsub.wss.twitch.tv/ws?keepalive_timeout_seconds=30"
#define ISHOW_CHAT_BILIBILI_URL               "https://api.live.bilibili.com"
#define ISHOW_CHAT_BILIBILI_ACCOUNT_URL       "https://api.bilibili.com"
#define ISHOW_CHAT_BILIBILI_HOST              "broadcastlv.chat.bilibili.com"
#define ISHOW_CHAT_BILIBILI_OPEN_URL          "https://live-open.biliapi.com"
#define ISHOW_CHAT_YOUTUBE_URL                "https://www.googleapis.com/youtube/v3"
#define ISHOW_CHAT_CONNECT_SECONDS            20
#define ISHOW_CHAT_HEARTBEAT_SECONDS          60 /* after silence; Twitch's own PING is sent every 5 minutes */
#define ISHOW_CHAT_BILIBILI_HEARTBEAT_SECONDS 30 /* required by the platform */
#define ISHOW_CHAT_BILIBILI_PROJECT_SECONDS   20 /* open platform: between heartbeats of the project */
#define ISHOW_CHAT_LAST_SECONDS               2  /* time for telling a platform that the connection ends */
#define ISHOW_CHAT_REPLY_SECONDS              20
#define ISHOW_CHAT_BACKOFF_SECONDS            1
#define ISHOW_CHAT_BACKOFF_MAX_SECONDS        120
#define ISHOW_CHAT_SECONDS_MAX                3600        /* upper limit of the above */
#define ISHOW_CHAT_POLL_SECONDS_MIN           5           /* YouTube: a poll costs 5 units, 10000 units last 2.8 h */
#define ISHOW_CHAT_QUOTA_UNITS                10000       /* YouTube: daily units of a new project */
#define ISHOW_CHAT_LINE_BYTES_MAX             (16 * 1024) /* Twitch: 8191 of tags and 512 of the rest, doubled */
#define ISHOW_CHAT_FRAME_BYTES_MAX            (4 * 1024 * 1024)
#define ISHOW_CHAT_INFLATE_BYTES_MAX          (4 * 1024 * 1024)
#define ISHOW_CHAT_LOGINS                     20 /* Twitch: within ISHOW_CHAT_LOGIN_SECONDS */
#define ISHOW_CHAT_LOGIN_SECONDS              10

/* Live chat: filter and queue. */
#define ISHOW_CHAT_WORDS_MAX          77
#define ISHOW_CHAT_GRAPHEMES_MAX      280
#define ISHOW_CHAT_CLIP_SECONDS       12.0 /* of one message as it is heard */
#define ISHOW_CHAT_CLIP_SECONDS_PAID  20.0
#define ISHOW_CHAT_QUEUE_MAX          512
#define ISHOW_CHAT_RATE               10.0 /* messages per second from all viewers together */
#define ISHOW_CHAT_COOLDOWN_SECONDS   0.0
#define ISHOW_CHAT_REPEAT_SECONDS     30.0
#define ISHOW_CHAT_FLOOD_MESSAGES     5 /* from one viewer within ISHOW_CHAT_FLOOD_SECONDS */
#define ISHOW_CHAT_FLOOD_SECONDS      10.0
#define ISHOW_CHAT_AGEING_SECONDS     30.0  /* waiting this long raises a message by one priority */
#define ISHOW_CHAT_EXPIRE_SECONDS     180.0 /* older messages no longer fit the conversation */
#define ISHOW_CHAT_NAME_AGAIN_SECONDS 60.0
#define ISHOW_CHAT_GAP_SECONDS        0.25 /* between clips */
#define ISHOW_CHAT_PREFETCH           2    /* clips synthesised while one plays */
#define ISHOW_CHAT_COMMAND_PREFIX     "!"
#define ISHOW_CHAT_LANGUAGE           "en"
#define ISHOW_CHAT_TEMPLATE           "{user} says: {text}"
#define ISHOW_CHAT_TEMPLATE_PAID      "{user} paid {amount}: {text}"
#define ISHOW_CHAT_TEMPLATE_GIFT      "{user} sent {count} {gift}. {text}"
#define ISHOW_CHAT_TEMPLATE_MEMBER    "{user} joined as {gift}. {text}"
#define ISHOW_CHAT_TEMPLATE_EVENT     "{event} {text}"
#define ISHOW_CHAT_READER_BYTES       (256 * 1024) /* unread bytes of a listener above which audio is skipped */

#endif
