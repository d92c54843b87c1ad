/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <string.h>

/* FIPS 180-4 examples, as published by NIST. */
static void sha256_gives_the_published_digests(void)
{
	static const struct {
		const char *text, *digest;
	} vectors[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(vectors); i++) {
		g_autofree char *digest = proa_sha256_hex(vectors[i].text, strlen(vectors[i].text));
		g_assert_cmpstr(digest, ==, vectors[i].digest);
		g_assert_true(proa_sha256_hex_valid(digest));
	}
}

static void validity_wants_exact_length_and_lower_case(void)
{
	g_assert_true(proa_hex_valid("00ff", 4));
	g_assert_true(proa_hex_valid("", 0));
	g_assert_false(proa_hex_valid("00ff", 3));
	g_assert_false(proa_hex_valid("00ff", 5));
	g_assert_false(proa_hex_valid("00FF", 4));
	g_assert_false(proa_hex_valid("00fg", 4));
	g_assert_false(proa_hex_valid(" 0ff", 4));
	g_assert_false(proa_hex_valid(NULL, 0));
	g_assert_false(proa_sha256_hex_valid(NULL));
	g_assert_false(
		proa_sha256_hex_valid("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"));
	g_assert_false(
		proa_sha256_hex_valid("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555"));
	g_assert_false(
		proa_sha256_hex_valid("E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

static void every_byte_survives_the_way_there_and_back(void)
{
	guint8 all[256], back[256] = { 0 };

	for (guint i = 0; i < 256; i++)
		all[i] = (guint8)i;
	g_autofree char *text = proa_hex_encode(all, sizeof all);
	g_assert_cmpuint(strlen(text), ==, 512);
	g_assert_true(proa_hex_valid(text, 512));
	g_assert_true(proa_hex_decode(text, back, sizeof back));
	g_assert_cmpmem(all, sizeof all, back, sizeof back);
}

static void decoding_takes_either_case(void)
{
	guint8 out[4];

	g_assert_true(proa_hex_decode("DEadBEef", out, 4));
	g_assert_cmpmem(out, 4, "\xde\xad\xbe\xef", 4);
}

static void decoding_refuses_and_leaves_the_output_alone(void)
{
	static const char *const bad[] = { "", "d", "dead", "deadbee", "deadbeef0", "deadbeefaa", "deadbeeg",
		"0xdeadbe", " deadbee",
		"dead\xc3\xa9"
		"f0",
		NULL };
	guint8 out[4] = { 1, 2, 3, 4 };

	for (gsize i = 0; bad[i]; i++)
		g_assert_false(proa_hex_decode(bad[i], out, 4));
	g_assert_false(proa_hex_decode(NULL, out, 4));
	g_assert_cmpmem(out, 4, "\1\2\3\4", 4);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func(
		"/base/digest/sha256-gives-the-published-digests", sha256_gives_the_published_digests);
	g_test_add_func("/base/digest/validity-wants-exact-length-and-lower-case",
		validity_wants_exact_length_and_lower_case);
	g_test_add_func("/base/digest/every-byte-survives-the-way-there-and-back",
		every_byte_survives_the_way_there_and_back);
	g_test_add_func("/base/digest/decoding-takes-either-case", decoding_takes_either_case);
	g_test_add_func("/base/digest/decoding-refuses-and-leaves-the-output-alone",
		decoding_refuses_and_leaves_the_output_alone);
	return g_test_run();
}
