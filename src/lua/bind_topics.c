// Topics: lua/moongate/topics.lua calls these.

#include "base/utf8.h"
#include "http/event_text.h"
#include "live/topics.h"
#include "lua/args.h"
#include "lua/bind.h"

static mg_topics *check_topics(lua_State *L) {
    mg_topics *t = mg_vm_of(L)->services->topics;
    if (t == NULL) {
        luaL_error(L, "there are no topics here");
    }
    return t;
}

// topic_fault(name) -> what is wrong with it | nil
static int topic_fault(lua_State *L) {
    const char *fault = mg_topic_name_fault(mg_lua_check_str(L, 1));
    lua_pushstring(L, fault);
    return 1;
}

static bool are_good_words(const mg_publication *m) {
    return m->event.n <= MG_TOPIC_NAME_MAX && m->id.n <= MG_TOPIC_NAME_MAX &&
           mg_event_is_word(m->event) && mg_event_is_word(m->id);
}

// topic_publish(topic, payload, binary, event or nil, id or nil) -> nothing | what is wrong. The
// name is a good one.
static int topic_publish(lua_State *L) {
    mg_topics *t = check_topics(L);
    mg_error err;
    const mg_publication m = {
        .kind = lua_toboolean(L, 3) ? MG_PACKET_BINARY : MG_PACKET_TEXT,
        .payload = mg_lua_check_str(L, 2),
        .event = mg_lua_str(L, 4),
        .id = mg_lua_str(L, 5),
    };
    if (m.kind == MG_PACKET_TEXT && !mg_utf8_valid(m.payload)) {
        lua_pushliteral(L, "the text is not UTF-8: bytes are sent with { kind = \"binary\" }");
        return 1;
    }
    if (!are_good_words(&m)) {
        lua_pushliteral(L, "event and id are texts of at most 255 bytes without CR, LF and NUL");
        return 1;
    }
    if (mg_topics_publish(t, mg_lua_check_str(L, 1), &m, NULL, &err) != MG_OK) {
        lua_pushstring(L, err.text);
        return 1;
    }
    return 0;
}

// topic_count(topic) -> how many subscribe, in all workers
static int topic_count(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)mg_topics_count(check_topics(L), mg_lua_check_str(L, 1)));
    return 1;
}

void mg_bind_topics(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"topic_fault", topic_fault},
        {"topic_publish", topic_publish},
        {"topic_count", topic_count},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
