/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/protobuf.h"

#include <string.h>

#define WIRE_VARINT 0
#define WIRE_FIXED64 1
#define WIRE_BYTES 2
#define WIRE_FIXED32 5
#define MAX_FIELD_NUMBER ((1U << 29) - 1)
#define FRAME_HEADER 5

/* Fields of grpc.health.v1 and runtime.v1. */
#define HEALTH_STATUS 1
#define HEALTH_SERVING 1
#define STATUS_RESPONSE_STATUS 1
#define STATUS_CONDITIONS 1
#define CONDITION_TYPE 1
#define CONDITION_STATUS 2
#define CONDITION_REASON 3
#define CONDITION_MESSAGE 4
/* Of texts from outside this much goes into a message of ours. */
#define MAX_TEXT 200

ProaProtobuf proa_protobuf_begin(const guint8 *data, gsize size)
{
	return (ProaProtobuf){ .next = data, .end = data + size };
}

static gboolean read_varint(ProaProtobuf *reader, guint64 *ret_value)
{
	guint64 value = 0;

	for (guint shift = 0; shift < 64 && reader->next < reader->end; shift += 7) {
		guint8 byte = *reader->next++;
		if (shift == 63 && byte > 1)
			return FALSE;
		value |= (guint64)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return TRUE;
		}
	}
	return FALSE;
}

static gboolean read_fixed(ProaProtobuf *reader, guint bytes, guint64 *ret_value)
{
	guint64 value = 0;

	if ((gsize)(reader->end - reader->next) < bytes)
		return FALSE;
	for (guint i = 0; i < bytes; i++)
		value |= (guint64)reader->next[i] << 8 * i;
	reader->next += bytes;
	*ret_value = value;
	return TRUE;
}

static gboolean read_bytes(ProaProtobuf *reader, ProaProtobufField *field)
{
	guint64 size;

	if (!read_varint(reader, &size) || size > (guint64)(reader->end - reader->next))
		return FALSE;
	field->is_bytes = TRUE;
	field->bytes = reader->next;
	field->size = (gsize)size;
	reader->next += size;
	return TRUE;
}

static gboolean read_field(ProaProtobuf *reader, ProaProtobufField *field)
{
	guint64 key;

	if (!read_varint(reader, &key) || key >> 3 == 0 || key >> 3 > MAX_FIELD_NUMBER)
		return FALSE;
	field->number = (guint32)(key >> 3);
	switch (key & 7) {
	case WIRE_VARINT:
		return read_varint(reader, &field->value);
	case WIRE_FIXED64:
		return read_fixed(reader, 8, &field->value);
	case WIRE_FIXED32:
		return read_fixed(reader, 4, &field->value);
	case WIRE_BYTES:
		return read_bytes(reader, field);
	default:
		return FALSE;
	}
}

gboolean proa_protobuf_next(ProaProtobuf *reader, ProaProtobufField *ret_field)
{
	ProaProtobufField field = { 0 };

	if (reader->malformed || reader->next == reader->end)
		return FALSE;
	if (!read_field(reader, &field)) {
		reader->malformed = TRUE;
		return FALSE;
	}
	*ret_field = field;
	return TRUE;
}

gboolean proa_grpc_unframe(const guint8 *body, gsize size, const guint8 **ret_message, gsize *ret_size)
{
	if (size < FRAME_HEADER || body[0] != 0)
		return FALSE;
	gsize length = (gsize)body[1] << 24 | (gsize)body[2] << 16 | (gsize)body[3] << 8 | body[4];
	if (length != size - FRAME_HEADER)
		return FALSE;
	*ret_message = body + FRAME_HEADER;
	*ret_size = length;
	return TRUE;
}

static gboolean say_malformed(char **ret_why)
{
	*ret_why = g_strdup("its answer is malformed");
	return FALSE;
}

gboolean proa_grpc_health_serving(const guint8 *message, gsize size, char **ret_why)
{
	static const char *const words[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };
	ProaProtobuf reader = proa_protobuf_begin(message, size);
	ProaProtobufField field;
	guint64 status = 0;

	while (proa_protobuf_next(&reader, &field))
		if (field.number == HEALTH_STATUS && !field.is_bytes)
			status = field.value;
	if (reader.malformed)
		return say_malformed(ret_why);
	if (status == HEALTH_SERVING)
		return TRUE;
	*ret_why = g_strdup_printf(
		"it says %s", status < G_N_ELEMENTS(words) ? words[status] : "an unknown status");
	return FALSE;
}

typedef struct {
	char *type, *reason, *message;
	gboolean holds;
} Condition;

static void condition_clear(Condition *condition)
{
	g_free(condition->type);
	g_free(condition->reason);
	g_free(condition->message);
}

static char *text_of(const ProaProtobufField *field)
{
	g_autofree char *text =
		g_utf8_make_valid((const char *)field->bytes, (gssize)MIN(field->size, MAX_TEXT));

	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = ' ';
	return g_steal_pointer(&text);
}

static void set_text(char **text, const ProaProtobufField *field)
{
	g_free(*text);
	*text = text_of(field);
}

static gboolean read_condition(const guint8 *data, gsize size, Condition *condition)
{
	ProaProtobuf reader = proa_protobuf_begin(data, size);
	ProaProtobufField field;

	while (proa_protobuf_next(&reader, &field)) {
		if (field.number == CONDITION_TYPE && field.is_bytes)
			set_text(&condition->type, &field);
		else if (field.number == CONDITION_STATUS && !field.is_bytes)
			condition->holds = field.value != 0;
		else if (field.number == CONDITION_REASON && field.is_bytes)
			set_text(&condition->reason, &field);
		else if (field.number == CONDITION_MESSAGE && field.is_bytes)
			set_text(&condition->message, &field);
	}
	return !reader.malformed;
}

typedef struct {
	gboolean runtime, network;
	char *why; /* the first condition asked for that does not hold */
} Readiness;

static gboolean add_condition(const ProaProtobufField *field, gboolean network, Readiness *readiness)
{
	Condition condition = { 0 };
	gboolean ok = read_condition(field->bytes, field->size, &condition);
	gboolean is_runtime = g_strcmp0(condition.type, "RuntimeReady") == 0;
	gboolean is_network = g_strcmp0(condition.type, "NetworkReady") == 0;

	if (ok && is_runtime)
		readiness->runtime = condition.holds;
	if (ok && is_network)
		readiness->network = condition.holds;
	if (ok && !condition.holds && (is_runtime || (is_network && network)) && !readiness->why)
		readiness->why = g_strdup_printf("%s does not hold: %s: %s", condition.type,
			condition.reason ? condition.reason : "no reason",
			condition.message ? condition.message : "no message");
	condition_clear(&condition);
	return ok;
}

static gboolean read_status(const guint8 *data, gsize size, gboolean network, Readiness *readiness)
{
	ProaProtobuf reader = proa_protobuf_begin(data, size);
	ProaProtobufField field;

	while (proa_protobuf_next(&reader, &field))
		if (field.number == STATUS_CONDITIONS && field.is_bytes &&
			!add_condition(&field, network, readiness))
			return FALSE;
	return !reader.malformed;
}

gboolean proa_grpc_runtime_ready(const guint8 *message, gsize size, gboolean network, char **ret_why)
{
	ProaProtobuf reader = proa_protobuf_begin(message, size);
	ProaProtobufField field;
	Readiness readiness = { 0 };
	gboolean ok = TRUE;

	while (ok && proa_protobuf_next(&reader, &field))
		if (field.number == STATUS_RESPONSE_STATUS && field.is_bytes)
			ok = read_status(field.bytes, field.size, network, &readiness);
	if (!ok || reader.malformed) {
		g_free(readiness.why);
		return say_malformed(ret_why);
	}
	if (readiness.runtime && (readiness.network || !network)) {
		g_free(readiness.why);
		return TRUE;
	}
	*ret_why = readiness.why ? readiness.why : g_strdup("its answer lacks a condition");
	return FALSE;
}
