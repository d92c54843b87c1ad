/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include "base/file.h"

#include <string.h>

typedef struct {
	char *text;
	gint64 number;
} Value;

struct ProaConfig {
	const ProaConfigKey *keys;
	Value *values;
	gsize count;
	GPtrArray *problems;
};

static gboolean parse_scaled(
	const char *text, const char *const *units, const gint64 *factors, gint64 *ret_number)
{
	char *end = NULL;

	if (!g_ascii_isdigit(text[0]))
		return FALSE;
	guint64 number = g_ascii_strtoull(text, &end, 10);
	while (*end == ' ')
		end++;
	for (gsize i = 0; units[i]; i++) {
		if (strcmp(end, units[i]) != 0)
			continue;
		if (number > (guint64)(G_MAXINT64 / factors[i]))
			return FALSE;
		*ret_number = (gint64)number * factors[i];
		return TRUE;
	}
	return FALSE;
}

static gboolean parse_number(const ProaConfigKey *key, const char *text, gint64 *ret_number)
{
	static const char *const no_units[] = { "", NULL };
	static const char *const time_units[] = { "", "s", "sec", "min", "h", "d", "w", NULL };
	static const char *const byte_units[] = { "", "K", "M", "G", "T", NULL };
	static const gint64 one[] = { 1 };
	static const gint64 seconds[] = { 1, 1, 1, 60, 3600, 86400, 604800 };
	static const gint64 bytes[] = { 1, 1 << 10, 1 << 20, 1 << 30, G_GINT64_CONSTANT(1) << 40 };

	switch (key->type) {
	case PROA_CONFIG_INTEGER:
		return parse_scaled(text, no_units, one, ret_number);
	case PROA_CONFIG_DURATION:
		return parse_scaled(text, time_units, seconds, ret_number);
	case PROA_CONFIG_BYTES:
		return parse_scaled(text, byte_units, bytes, ret_number);
	default:
		return FALSE;
	}
}

static gboolean parse_boolean(const char *text, gint64 *ret_number)
{
	static const char *const yes[] = { "yes", "true", "on", "1", NULL };
	static const char *const no[] = { "no", "false", "off", "0", NULL };

	if (!g_strv_contains(yes, text) && !g_strv_contains(no, text))
		return FALSE;
	*ret_number = g_strv_contains(yes, text);
	return TRUE;
}

static char *check_number(const ProaConfigKey *key, const char *text, gint64 *ret_number)
{
	gint64 number = 0;

	if (!parse_number(key, text, &number))
		return g_strdup(key->type == PROA_CONFIG_DURATION
					? "is not a time span such as 90s, 5min or 6h"
				: key->type == PROA_CONFIG_BYTES ? "is not a size such as 512, 64K or 10M"
								 : "is not a whole number");
	if (number < key->min || number > key->max)
		return g_strdup_printf(
			"is not from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->min, key->max);
	*ret_number = number;
	return NULL;
}

/* Returns what is wrong with @text as a value of @key, or NULL after storing it in @value. */
static char *take_value(const ProaConfigKey *key, const char *text, Value *value)
{
	gint64 number = 0;

	switch (key->type) {
	case PROA_CONFIG_STRING:
		break;
	case PROA_CONFIG_BOOLEAN:
		if (!parse_boolean(text, &number))
			return g_strdup("is neither yes nor no");
		break;
	case PROA_CONFIG_CHOICE: {
		g_auto(GStrv) words = g_strsplit(key->choices, "|", -1);
		if (!g_strv_contains((const char *const *)words, text))
			return g_strdup_printf("is not one of %s", key->choices);
		break;
	}
	case PROA_CONFIG_INTEGER:
	case PROA_CONFIG_DURATION:
	case PROA_CONFIG_BYTES: {
		char *wrong = check_number(key, text, &number);
		if (wrong)
			return wrong;
		break;
	}
	}
	g_free(value->text);
	value->text = g_strdup(text);
	value->number = number;
	return NULL;
}

static gssize find_key(const ProaConfigKey *keys, const char *group, const char *name)
{
	for (gssize i = 0; keys[i].group; i++)
		if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].key, name) == 0)
			return i;
	return -1;
}

static void problem(ProaConfig *config, const char *path, guint line, const char *format, ...)
	G_GNUC_PRINTF(4, 5);
static void problem(ProaConfig *config, const char *path, guint line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_ptr_array_add(config->problems, g_strdup_printf("%s:%u: %s", path, line, text));
}

static void read_assignment(ProaConfig *config, const char *path, guint line, const char *group, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || !group) {
		problem(config, path, line,
			equals ? "a key stands before the first [group]" : "neither [group] nor key=value");
		return;
	}
	*equals = '\0';
	const char *name = g_strstrip(text);
	const char *value = g_strstrip(equals + 1);
	gssize index = find_key(config->keys, group, name);
	if (index < 0) {
		problem(config, path, line, "unknown key %s= in [%s]; it is ignored", name, group);
		return;
	}
	g_autofree char *wrong = take_value(&config->keys[index], value, &config->values[index]);
	if (wrong)
		problem(config, path, line, "%s=%s in [%s] %s; %s=%s holds", name, value, group, wrong, name,
			config->values[index].text);
}

static void read_lines(ProaConfig *config, const char *path, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *group = NULL;

	for (guint i = 0; lines[i]; i++) {
		char *line = g_strstrip(lines[i]);
		gsize length = strlen(line);

		if (length == 0 || line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[' && line[length - 1] == ']') {
			g_free(group);
			group = g_strndup(line + 1, length - 2);
			continue;
		}
		read_assignment(config, path, i + 1, group, line);
	}
}

static void read_file(ProaConfig *config, const char *path)
{
	g_autoptr(GError) error = NULL;
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, PROA_CONFIG_MAX_SIZE, &size, &error);

	if (!text) {
		if (proa_reason_of(error) != PROA_REASON_NOT_FOUND)
			problem(config, path, 0, "%s; the file is ignored", error->message);
		return;
	}
	if (!g_utf8_validate(text, (gssize)size, NULL)) {
		problem(config, path, 0, "not UTF-8 text; the file is ignored");
		return;
	}
	read_lines(config, path, text);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_drop_ins(ProaConfig *config, const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_suffix(name, ".conf") && name[0] != '.')
			g_ptr_array_add(names, g_build_filename(folder, name, NULL));
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++)
		read_file(config, g_ptr_array_index(names, i));
}

ProaConfig *proa_config_load(const char *root, const char *name, const ProaConfigKey *keys)
{
	ProaConfig *config = g_new0(ProaConfig, 1);

	config->keys = keys;
	config->problems = g_ptr_array_new_null_terminated(4, g_free, TRUE); /* 0: no array when empty */
	while (keys[config->count].group)
		config->count++;
	config->values = g_new0(Value, config->count + 1);
	for (gsize i = 0; i < config->count; i++) {
		g_autofree char *wrong =
			take_value(&keys[i], keys[i].fallback ? keys[i].fallback : "", &config->values[i]);
		if (wrong)
			g_error("the default of %s= in [%s] %s", keys[i].key, keys[i].group, wrong);
	}

	g_autofree char *shipped = g_strdup_printf("%s/usr/lib/proa/%s.conf", root, name);
	g_autofree char *local = g_strdup_printf("%s/etc/proa/%s.conf", root, name);
	g_autofree char *drop_ins = g_strconcat(local, ".d", NULL);
	read_file(config, shipped);
	read_file(config, local);
	read_drop_ins(config, drop_ins);
	return config;
}

void proa_config_free(ProaConfig *config)
{
	for (gsize i = 0; i < config->count; i++)
		g_free(config->values[i].text);
	g_free(config->values);
	g_ptr_array_unref(config->problems);
	g_free(config);
}

const char *const *proa_config_problems(const ProaConfig *config)
{
	return (const char *const *)config->problems->pdata;
}

static const Value *value_of(const ProaConfig *config, const char *group, const char *key)
{
	gssize index = find_key(config->keys, group, key);

	if (index < 0)
		g_error("no key %s= in [%s]", key, group);
	return &config->values[index];
}

const char *proa_config_string(const ProaConfig *config, const char *group, const char *key)
{
	return value_of(config, group, key)->text;
}

gboolean proa_config_boolean(const ProaConfig *config, const char *group, const char *key)
{
	return value_of(config, group, key)->number != 0;
}

gint64 proa_config_integer(const ProaConfig *config, const char *group, const char *key)
{
	return value_of(config, group, key)->number;
}
