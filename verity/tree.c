/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/tree.h"

#include "base/digest.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <string.h>
#include <unistd.h>

typedef struct crypt_device CryptDevice;

/* libcryptsetup and its messages: the last error said is kept for ours. */
typedef struct {
	CryptDevice *device;
	char *said;
} Crypt;

static void crypt_clear(Crypt *crypt)
{
	if (crypt->device)
		crypt_free(crypt->device);
	g_free(crypt->said);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Crypt, crypt_clear)

static void keep_message(int level, const char *message, void *data)
{
	Crypt *crypt = data;

	if (level != CRYPT_LOG_ERROR)
		return;
	g_free(crypt->said);
	crypt->said = g_strchomp(g_strdup(message));
}

static gboolean crypt_failed(
	const Crypt *crypt, int result, const char *doing, const char *path, GError **error)
{
	ProaReason reason = result == -ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO;

	if (crypt->said)
		return proa_fail(error, reason, "%s %s: %s", doing, path, crypt->said);
	return proa_fail_errno(error, reason, -result, "%s %s", doing, path);
}

static gboolean crypt_open(Crypt *crypt, const char *hash_path, GError **error)
{
	/* Messages that come before there is a device would go to standard error. */
	crypt_set_log_callback(NULL, keep_message, crypt);
	int r = crypt_init(&crypt->device, hash_path);
	crypt_set_log_callback(NULL, NULL, NULL);
	if (r < 0)
		return crypt_failed(crypt, r, "opening", hash_path, error);
	crypt_set_log_callback(crypt->device, keep_message, crypt);
	return TRUE;
}

gboolean proa_verity_check(
	const char *data_path, const char *hash_path, const char *root_hash, GError **error)
{
	g_auto(Crypt) crypt = { 0 };
	guint8 hash[PROA_SHA256_SIZE];

	if (!proa_hex_decode(root_hash, hash, sizeof hash))
		return proa_fail(
			error, PROA_REASON_ROOT_HASH_MISMATCH, "\"%s\" is not a root hash", root_hash);
	if (!crypt_open(&crypt, hash_path, error))
		return FALSE;

	struct crypt_params_verity verity = { .data_device = data_path, .flags = CRYPT_VERITY_CHECK_HASH };
	int r = crypt_load(crypt.device, CRYPT_VERITY, &verity);
	if (r == -EINVAL)
		return proa_fail(
			error, PROA_REASON_ROOT_HASH_MISMATCH, "%s holds no hash tree of ours", hash_path);
	if (r < 0)
		return crypt_failed(&crypt, r, "reading", hash_path, error);

	/* Without a name nothing is activated: data and tree are read and compared. */
	r = crypt_activate_by_volume_key(crypt.device, NULL, (const char *)hash, sizeof hash, 0);
	/* A wrong hash and an unreadable block come as one of several errnos: neither can be booted. */
	if (r < 0 && r != -ENOMEM)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"%s does not match the root hash %s%s%s", data_path, root_hash,
			crypt.said ? ": " : "", crypt.said ? crypt.said : "");
	if (r < 0)
		return crypt_failed(&crypt, r, "checking", data_path, error);
	return TRUE;
}

gboolean proa_verity_status(const char *name, ProaVerityStatus *ret_status, GError **error)
{
	g_auto(Crypt) crypt = { 0 };

	crypt_set_log_callback(NULL, keep_message, &crypt);
	int r = crypt_init_by_name(&crypt.device, name);
	crypt_set_log_callback(NULL, NULL, NULL);
	if (r < 0)
		return proa_fail_errno(
			error, PROA_REASON_NOT_VERIFIED, -r, "no active device-mapper device %s", name);
	crypt_set_log_callback(crypt.device, keep_message, &crypt);

	const char *type = crypt_get_type(crypt.device);
	struct crypt_active_device active = { 0 };
	char hash[PROA_SHA256_SIZE];
	gsize size = sizeof hash;
	if (!type || strcmp(type, CRYPT_VERITY) != 0 ||
		crypt_get_active_device(crypt.device, name, &active) < 0 ||
		crypt_volume_key_get(crypt.device, CRYPT_ANY_SLOT, hash, &size, NULL, 0) < 0 ||
		size != sizeof hash)
		return proa_fail(error, PROA_REASON_NOT_VERIFIED, "%s is not a verity device of ours", name);

	g_autofree char *hex = proa_hex_encode((const guint8 *)hash, sizeof hash);
	g_strlcpy(ret_status->root_hash, hex, sizeof ret_status->root_hash);
	ret_status->corrupted = (active.flags & CRYPT_ACTIVATE_CORRUPTED) != 0;
	return TRUE;
}
