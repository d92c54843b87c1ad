/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/pkcs11.h"

#include "tests/unit/images/feed/fixture.h"

#include <dlfcn.h>
#include <gio/gio.h>

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define PIN "1234"

/*
 * The provider loads its module with RTLD_DEEPBIND, which sanitizers can't live with; the rest of it is as
 * ever.
 */
void *dlopen(const char *name, int flags)
{
	void *(*real)(const char *, int) = NULL;

	*(void **)&real = dlsym(RTLD_NEXT, "dlopen");
	return real(name, flags & ~RTLD_DEEPBIND);
}

#ifdef __SANITIZE_ADDRESS__
/* SoftHSM leaks a few hundred bytes of each signature, of which the leak checker can't tell whose they are.
 */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

static void run(const char *const *argv)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) process = g_subprocess_newv(
		argv, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error);

	g_assert_no_error(error);
	g_subprocess_wait_check(process, NULL, &error);
	g_assert_no_error(error);
}

/* A token of SoftHSM with an Ed25519 and an ECDSA key that never leave it. */
static void make_token(const Scratch *scratch)
{
	static const struct {
		const char *type, *label, *id;
	} objects[] = { { "privkey", "alone", "11" }, { "privkey", "apart", "12" },
		{ "pubkey", "apart", "13" }, { "privkey", "paired", "14" },
		{ "pubkey", "differently-named", "14" } };
	g_autofree char *tokens = scratch_file(scratch, "tokens");
	g_autofree char *text =
		g_strdup_printf("directories.tokendir = %s\nobjectstore.backend = file\n", tokens);
	g_autofree char *config = scratch_write(scratch, "softhsm2.conf", text, -1);

	g_assert_cmpint(g_mkdir(tokens, 0700), ==, 0);
	g_setenv("SOFTHSM2_CONF", config, TRUE);
	g_setenv("PKCS11_PROVIDER_MODULE", MODULE, TRUE);
	run((const char *const[]){ "softhsm2-util", "--init-token", "--free", "--label", "proa", "--pin", PIN,
		"--so-pin", PIN, NULL });
	run((const char *const[]){ "pkcs11-tool", "--module", MODULE, "--token-label", "proa", "--login",
		"--pin", PIN, "--keypairgen", "--key-type", "EC:edwards25519", "--label", "root", "--id",
		"01", NULL });
	run((const char *const[]){ "pkcs11-tool", "--module", MODULE, "--token-label", "proa", "--login",
		"--pin", PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "targets", "--id",
		"02", NULL });

	/* Keys that were brought in, in several states of order. */
	g_autofree char *private = scratch_file(scratch, "private.der"),
			*public = scratch_file(scratch, "public.der");
	run((const char *const[]){ "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
		"ec_paramgen_curve:P-256", "-outform", "DER", "-out", private, NULL });
	run((const char *const[]){ "openssl", "pkey", "-inform", "DER", "-in", private, "-pubout", "-outform",
		"DER", "-out", public, NULL });
	for (guint i = 0; i < G_N_ELEMENTS(objects); i++)
		run((const char *const[]){ "pkcs11-tool", "--module", MODULE, "--token-label", "proa",
			"--login", "--pin", PIN, "--write-object",
			strcmp(objects[i].type, "pubkey") == 0 ? public : private, "--type", objects[i].type,
			"--label", objects[i].label, "--id", objects[i].id, NULL });
}

static void test_signs(gconstpointer label)
{
	g_autofree char *uri =
		g_strdup_printf("pkcs11:token=proa;object=%s?pin-value=" PIN, (const char *)label);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) message = g_bytes_new_static("the message", 11), other = g_bytes_new_static("x", 1);

	g_assert_true(proa_signers_add(signers, uri, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(signers->len, ==, 1);
	g_autofree char *hex = proa_signer_sign(signers->pdata[0], message, &error);
	g_assert_no_error(error);
	g_autoptr(ProaKey) key = proa_key_new("id", proa_signer_public(signers->pdata[0]), NULL);
	gsize size = strlen(hex) / 2;
	g_autofree guint8 *raw = g_malloc(size);
	g_assert_true(proa_hex_decode(hex, raw, size));
	g_autoptr(GBytes) signature = g_bytes_new(raw, size);
	g_assert_true(proa_key_verify(key, message, signature));
	g_assert_false(proa_key_verify(key, other, signature));
}

/* The whole way: root's new key is in the token, and signs the next root through a .uri file. */
static void test_root_in_a_token(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture), token = proa_signers_new();
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	g_autofree char *public = scratch_file(&fixture.scratch, "token.pub"),
			*uri = g_build_filename(fixture.keys, "token.uri", NULL);
	const char *add[] = { public, NULL };
	const ProaCeremonyRotation rotation = { .role = "root", .add = add, .lifetimes = &fixture.lifetimes };
	g_autoptr(GError) error = NULL;

	g_assert_true(g_file_set_contents(
		uri, "pkcs11:token=proa;object=root;type=private?pin-value=" PIN "\n", -1, NULL));
	g_assert_true(proa_signers_add(token, "pkcs11:token=proa;object=root?pin-value=" PIN, NULL));
	g_assert_true(proa_keyset_add_signers(keyset, token, NULL));
	g_assert_true(proa_keyset_write_public(keyset, public, NULL));
	g_autoptr(ProaChange) change = proa_ceremony_rotate(feed, &rotation, signers, &error);
	g_assert_no_error(error);
	g_autoptr(GPtrArray) before = proa_change_needs(change, NULL);
	g_assert_cmpuint(before->len, ==, 1);
	g_autoptr(GPtrArray) all = fixture_signers(&fixture); /* the .uri file too */
	g_assert_true(proa_change_sign(change, all, &error));
	g_assert_no_error(error);
	g_assert_true(proa_commit(change, all, &fixture.lifetimes, &error));
	g_assert_no_error(error);
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	g_assert_cmpint(feed->root->head.version, ==, 2);
	g_assert_cmpstr(proa_key_identity(feed->root->roles[PROA_ROLE_ROOT]->keys->pdata[0]), ==,
		proa_signer_identity(token->pdata[0]));
}

/* The message names the thing and the way out, and never the PIN. */
static void check_refused(const char *uri, ProaReason reason, const char *way_out)
{
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_signers_add(signers, uri, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_assert_null(strstr(error->message, PIN));
	g_assert_nonnull(strstr(error->message, way_out));
	g_assert_true(g_str_has_prefix(error->message, "pkcs11:"));
}

static void test_missing(void)
{
	check_refused("pkcs11:token=proa;object=nobody?pin-value=" PIN, PROA_REASON_NOT_FOUND, "pkcs11-tool");
	check_refused("pkcs11:token=nobody;object=root?pin-value=" PIN, PROA_REASON_NOT_FOUND, "pkcs11-tool");
}

/* In a token the two halves of a key belong together by their CKA_ID; their labels may differ. */
static void test_halves(void)
{
	g_autoptr(GPtrArray) signers = proa_signers_new();

	check_refused("pkcs11:token=proa;object=alone?pin-value=" PIN, PROA_REASON_BAD_STATE, "CKA_ID");
	check_refused("pkcs11:token=proa;object=apart?pin-value=" PIN, PROA_REASON_BAD_STATE, "CKA_ID");
	check_refused("pkcs11:token=proa;object=differently-named?pin-value=" PIN, PROA_REASON_NOT_FOUND,
		"the public half is in the token");
	g_assert_true(proa_signers_add(signers, "pkcs11:token=proa;object=paired?pin-value=" PIN, NULL));
	g_assert_true(proa_signers_add(signers, "pkcs11:token=proa;id=%14?pin-value=" PIN, NULL));
	g_assert_cmpuint(signers->len, ==, 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_auto(Scratch) scratch = scratch_new();
	make_token(&scratch);
	g_test_add_data_func("/feed/pkcs11/signs/ed25519", "root", test_signs);
	g_test_add_data_func("/feed/pkcs11/signs/ecdsa", "targets", test_signs);
	g_test_add_func("/feed/pkcs11/root-in-a-token", test_root_in_a_token);
	g_test_add_func("/feed/pkcs11/says-what-is-missing-and-no-pin", test_missing);
	g_test_add_func("/feed/pkcs11/halves-belong-together-by-their-id", test_halves);
	return g_test_run();
}
