/* Common words of chat by language, separated by spaces, for language.c. A word may be in several languages. */
#ifndef CHAT_LANGUAGE_WORDS_H
#define CHAT_LANGUAGE_WORDS_H

static const struct {
    const char *language, *words;
} common[] = {
    {"en", "the and you is are this that what for with have not of to it was my how who why can do does your i me we "
           "us he she they them his her its our their a an in on at by from as or but if so be am been were will "
           "would could should must may might did done doing has had having just like know think get got go going "
           "goes gone went come comes coming came see saw seen look looks make made take took say said says tell "
           "told want need try let new old good great best better bad worst nice cool hi hello hey bye yes yeah yep "
           "no nope nah oh please pls thanks thank thx sorry welcome congrats lmao dude man guys guy play plays "
           "played playing player win wins won lose lost loss kill killed die died dies dead death run running time "
           "times day days night today tomorrow yesterday now then here there where when which one two three first "
           "last next more most much many some any every all none nothing something anything everything someone "
           "anyone everyone up down out off over under again back still already always never ever maybe really very "
           "too also only even way same other another than because about into after before until love hate hope feel "
           "feels happy sad funny crazy insane wild sick clean clutch close late early soon long short big small "
           "little high low hard easy fast slow hot cold music song voice sound mic camera map luck lucky wait stop "
           "start watch watching read ask talk hear help give keep turn don't doesn't didn't can't won't isn't "
           "aren't wasn't weren't i'm you're he's she's it's that's there's we're they're i've you've i'll you'll "
           "let's what's who's how's where's dog cat food water house work school car girl boy friend friends mom "
           "dad people world life hand head eye face war hat tag rat fee mit pro con son sin hay once red van pan "
           "rip via sea mean far fun gas final real capital animal idea area use sale fine wet rose dice sole dan "
           "hit hits pick fight fights shot shots bet bit pie dime pure fire male actual sensible note notes rare "
           "page pages table favor comment plus main adding text line point part place order sure room side set "
           "simple single"},
    {"de", "also man fast handy hell bald der die das und ist nicht ich du wie was ein eine einen einem einer mit auch "
           "wir sie auf den dem des von "
           "zu wer warum wieso weshalb er es ihr mich dich mir dir uns euch ihm ihn mein meine dein deine sein seine "
           "unser euer kein keine keinen nein ja doch jetzt schon noch mal nur aber oder wenn weil dass ob als dann "
           "hier da wo wann bin bist sind seid war waren habe hab hast hat haben hatte werden wird wurde würde kann "
           "kannst können muss musst müssen soll sollte will willst wollen darf mach machst macht machen gemacht "
           "geht gehen ging komm kommt kommen danke bitte hallo moin servus tschüss tschau guten gute gut morgen "
           "abend abends nacht tag heute gestern immer nie wieder sehr viel viele mehr alle alles nichts etwas "
           "einfach genau krass geil lustig schön schöne schönes schade klar ahnung leute bruder digga alter echt "
           "voll ganz gar wirklich vielleicht natürlich eigentlich endlich zusammen zuschauer spiel spiele spielst "
           "spielen gespielt gewonnen verloren runde glück ton leise laut lauter musik lied lach lachen müde hunger "
           "neue neuen neues über für vor nach bei aus beim zum zur im am um ab seit durch gegen ohne bis los weg "
           "her hin grüsse gruss frage lass lasst weiss weisst finde findest sag sagt sagst gesagt sieht sehe sehen "
           "schau leben liebe zocken willkommen entschuldigung herzlichen glückwunsch geburtstag ernst welche "
           "welcher welches wegen stimmt richtig falsch schnell langsam gross klein deutsch deutschland jemand "
           "niemand kaputt knapp geht's gibt's dachte sich saison dieser diese zwei wurden danach seiner unter zeit "
           "frau jedoch liegt engagement drei europa vom dabei später zwischen seinem ihre während neben kurz "
           "ausserdem dieses eines ersten dort gibt österreich diesem studierte oft stadt bereits ihrer einige "
           "zunächst allem dazu seinen jahren sowie erste ebenfalls teil ende jahre möchte damit neu anschliessend "
           "vater steht vier zog selbst kommission arbeit cousin grenze machte diesen tschechischen befindet benannt "
           "namen folgenden ärzte mannschaft jahr zudem lang gruppe gemeinde französisch zurück journalist liess "
           "fonds gebiet sprach ursprünglich nun verliess mehrere zweiten historischen platz tschechisch statt "
           "bezeichnet gehört burg kinder ort finden ihrem zweite haus arbeitete familie wenig mariä kamen musste "
           "gilt fünf bekannt deutsche alte herr zehn beiden spielte kleinen eingesetzt wechselte beendete nächsten "
           "kopf wäre westen findet kam meisten englisch fertig weitere aufgrund gehörte trägt anderem daher "
           "journalisten unternehmen mitglied konnte besitzt tätig entstanden grosse einmal galt verschiedene arten "
           "bildet erfolgen partei früh eigene kampf relativ gab betrieben republik hatten übernahm erhielt sieben "
           "wollte lange philosophie weiteren richtung erneut wuchs annähernd sollen denke glaube"},
    {"fr", "le la les et est je tu pas que qui une des vous pour avec dans quoi mais ce sur un du au aux en il elle "
           "on nous ils elles mon ma mes ton ta tes son sa ses notre votre leur c'est j'ai t'es d'accord qu'est "
           "j'aime t'aime n'est c'était qu'il qu'on l'autre d'un d'une s'il aujourd'hui suis es sommes êtes sont "
           "était ai as avons avez ont fait fais faire faut peux peut vas va vais aller allez allons quand où "
           "comment pourquoi combien quel quelle quels quelles rien tout tous toute toutes trop très bien mal bon "
           "bonne bons joué joues jouer jeu partie musique soir bonsoir bonjour salut coucou merci beaucoup demain "
           "hier maintenant toujours jamais encore déjà aussi même moi toi lui eux ici là oui non si ouais mdr ptdr "
           "drôle fatigué faim mort heure nuit monde gars mec meuf courage joyeux anniversaire désolé s'te plaît "
           "plait stp svp comprends sais vois pense crois veux veut dire dit parle répéter n'importe vraiment juste "
           "peu plus moins sans sous entre chez par pendant après avant depuis forte fort chaud froid grave nul "
           "génial vidéo chaîne abonné vas-y peux-tu est-il y jour temps fois chose gens"},
    {"es", "el los las es que yo no una con por para como esta muy pero hola porque mi qué del un unos unas de la lo "
           "le les en y o u se te me nos tu su mis tus sus al si sí ya más menos eres soy somos son está están estás "
           "estoy estar era fue ser hay había tengo tienes tiene tenemos hacer haces hace hago voy vas va vamos van "
           "ir quiero quieres quiere puedo puedes puede sé sabe sabes cómo cuándo dónde quién cuál cuánto cuántos "
           "nada nadie algo alguien todo todos toda todas siempre nunca también tampoco ahora hoy mañana ayer noche "
           "noches día días tarde buenas buenos bueno buena bien mal gracias adiós saludos desde jajaja jaja "
           "jajajaja risa juego juegos juegas jugar jugado jugando partida equipo mejor peor tal gusta gusto mucho "
           "mucha muchas muchos poco tan entiendo siento feliz cumpleaños suerte vives vivo directo favor espero "
           "hasta luego otra otro otros eso esto ese este esa esos estos aquí allí así sube baja volumen llegué ganó "
           "perdió hambre difícil fácil increíble cuidado atrás amigo amigos hermano tío vale claro verdad dale "
           "venga parce wey güey mano hija hijo vida tiempo hora cosa casa gente mundo dios"},
    {"pt", "os uma não que é você com para como muito mas eu isso por está meu do da obrigado obrigada um umas uns "
           "ao na no nos nas pela pelo ele ela eles elas nós vocês sua seu minha oi olá tudo bem bom boa dia noite "
           "tarde valeu cara mano galera jogo jogar jogando jogou jogada vai vamos tá tô pra pro né sim também já "
           "ainda agora hoje amanhã ontem sempre nunca nada aqui ali onde quando quem quanto porquê sou são somos "
           "foi ser ter tem tenho estou estão fazer faz quero quer pode posso saudades brasil kkkk kkkkk rsrs demais "
           "melhor pior feliz aniversário parabéns sorte desculpa entendi gente"},
    {"it", "il che è non sono una con per come ma di gli della ciao perché mi questo sei ho un uno lo la le i del "
           "dei delle nel nella al alla da su tra fra si ti ci vi me te lui lei noi voi loro mio mia tuo tua suo sua "
           "hai ha abbiamo avete hanno era stato fai fa fare faccio vai va andiamo andare vuoi voglio può puoi posso "
           "so sai cosa chi dove quando quanto quale più meno molto troppo tanto poco grazie prego buongiorno "
           "buonasera buonanotte bello bella bravissimo gioco giocare giocato partita squadra oggi domani ieri "
           "adesso ora sempre mai anche ancora già niente nulla tutto tutti ragazzi raga scusa davvero forse bene "
           "male dai ecco auguri compleanno fortuna amico fratello"},
    {"nl", "de het een en is niet ik je van dat wat met voor hoe maar ook zijn dit jij hij zij wij we jullie hun "
           "mijn jouw ben bent was heb hebt heeft had kan kun moet wil ga gaat doe doet hallo hoi doei dank bedankt "
           "dankjewel goed goede morgen avond nacht lekker leuk mooi echt nog wel geen niks alles iemand waar "
           "wanneer wie waarom spel spelen speelt gespeeld gewonnen verloren vandaag gisteren altijd nooit weer heel "
           "veel meer alleen misschien natuurlijk gewoon jongens gefeliciteerd succes sorry ja nee"},
    {"pl", "nie jest to się na co jak ale dla tak czy mnie mam ja ty on ona my wy oni jestem jesteś są był była było "
           "być mój moja twój masz ma można mogę chcę cześć hej siema dzień dobry dobra dobranoc dziękuję dzięki "
           "proszę gdzie kiedy kto dlaczego bardzo już jeszcze teraz dzisiaj jutro wczoraj zawsze nigdy wszystko nic "
           "gra grać grasz graj wygrał przegrał powodzenia szkoda fajnie z w i o do od za po przez bez gratulacje"},
    {"tr", "bir ve bu ne için çok ama ben sen değil mi nasıl var yok evet hayır merhaba selam teşekkürler teşekkür "
           "ederim günaydın iyi geceler akşamlar güzel kötü oyun oyna oynuyor abi kanka lan biz siz onlar bana sana "
           "şimdi bugün yarın dün neden nerede kim hep hiç her şey daha en gibi kadar sonra önce mı mu mü tamam "
           "lütfen kardeş"},
    {"id", "yang dan itu ini di tidak saya kamu ada apa untuk dengan bisa aku dia kita mereka nggak gak ga aja "
           "banget sudah udah belum lagi juga kalau karena siapa kapan dimana kenapa bagaimana gimana terima kasih "
           "makasih selamat pagi malam siang halo bang kak semangat main bagus mantap keren lucu"},
    {"vi", "là và của không có cho tôi bạn này một được anh em chị ơi gì sao rồi chào cảm ơn hay quá đi với người "
           "cũng nhưng thì mình đẹp trai ngon chơi"},
};
enum { COMMON = sizeof common / sizeof *common };

/* Words that chat uses in every language; names of games and places are not listed. */
static const char neutral[] =
    "lol lmao rofl xd gg ggwp wp ez pog poggers kekw lul kappa monkas imo omg wtf haha hahaha hehe hihi uwu owo sus "
    "meta elo nerf buff op noob bot ok okay bye hi hey hello discord twitch youtube stream streamer chat live clip "
    "boss game level mod mods sub raid minecraft";

/* Letters that are typical of a language without trigrams, with points in quarters. */
static const struct {
    const char *language, *part;
    int quarters;
} typical[] = {
    {"pl", "ł", 8}, {"pl", "ż", 8},  {"pl", "ś", 8},  {"pl", "ć", 8}, {"pl", "ń", 8}, {"pl", "ą", 8},
    {"pl", "ę", 8}, {"pl", "cz", 4}, {"pl", "sz", 3}, {"tr", "ş", 8}, {"tr", "ğ", 8}, {"tr", "ı", 8},
    {"vi", "ơ", 8}, {"vi", "ư", 8},  {"vi", "đ", 8},  {"vi", "ạ", 8}, {"vi", "ế", 8}, {"vi", "ộ", 8},
};
enum { TYPICAL = sizeof typical / sizeof *typical };

#endif
