/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/vmlinux.h"

#include "tests/unit/images/payload/vmlinux.h"

#define HEAD sizeof(Elf64_Ehdr)
#define ORC_AT (HEAD + VMLINUX_TEXT)
#define ALT_AT (ORC_AT + VMLINUX_PLACES * 4u)
#define RODATA_AT (ALT_AT + VMLINUX_RECORDS * 14u)

static Elf64_Shdr *section(GByteArray *kernel, guint index)
{
	guint64 at = GUINT64_FROM_LE(((const Elf64_Ehdr *)(gconstpointer)kernel->data)->e_shoff);

	return (Elf64_Shdr *)(gpointer)(kernel->data + at) + index;
}

static guint find(const GByteArray *kernel)
{
	ProaStepTable tables[PROA_STEPS_MAX_TABLES];
	/* To its last byte, so that one behind it is seen to be read. */
	g_autofree guint8 *copy = g_memdup2(kernel->data, MAX(kernel->len, 1));
	guint n = proa_vmlinux_tables(copy, kernel->len, tables);
	guint8 entries[sizeof tables];

	/* What a node takes. */
	proa_steps_serialize(tables, n, entries);
	g_assert_true(proa_steps_parse(entries, n, kernel->len, tables, NULL));
	return n;
}

static void tables_by_name(void)
{
	ProaStepTable tables[PROA_STEPS_MAX_TABLES];
	g_autoptr(GByteArray) kernel = vmlinux_new(100);

	g_assert_cmpuint(proa_vmlinux_tables(kernel->data, kernel->len, tables), ==, 4);
	g_assert_cmpuint(tables[0].offset, ==, ORC_AT);
	g_assert_cmpuint(tables[0].n, ==, VMLINUX_PLACES);
	g_assert_cmpuint(tables[0].record_size, ==, 4);
	g_assert_cmpuint(tables[1].offset, ==, ALT_AT);
	g_assert_cmpuint(tables[1].n, ==, VMLINUX_RECORDS);
	g_assert_cmpuint(tables[1].record_size, ==, 14);
	g_assert_cmpuint(tables[1].fields, ==, 3);
	g_assert_cmpuint(tables[2].offset, ==, RODATA_AT + 100 + 512);
	g_assert_cmpuint(tables[2].n, ==, VMLINUX_SYMBOLS);
	g_assert_cmpuint(tables[3].offset + VMLINUX_RELOCATIONS * 4, ==, kernel->len);
	g_assert_cmpuint(tables[3].n, ==, VMLINUX_RELOCATIONS);
}

/* Code that came in changes one step of each table, and those of the numbers that are no places. */
static void steps_are_those_of_before(void)
{
	g_autoptr(GByteArray) old_kernel = vmlinux_new(0), new_kernel = vmlinux_new(100);
	const GByteArray *both[] = { old_kernel, new_kernel };
	guint differ = 0;

	for (guint i = 0; i < 2; i++) {
		ProaStepTable tables[PROA_STEPS_MAX_TABLES];
		guint n = proa_vmlinux_tables(both[i]->data, both[i]->len, tables);
		ProaSteps steps = proa_steps_begin(tables, n, 0, FALSE);
		proa_steps_run(&steps, both[i]->data, both[i]->len);
	}
	for (gsize i = ORC_AT; i < old_kernel->len; i++)
		differ += old_kernel->data[i] != new_kernel->data[i];
	g_assert_cmpuint(differ, >, 0);
	g_assert_cmpuint(differ, <=, 4 * 4);
}

static void not_a_kernel(void)
{
	g_autoptr(GByteArray) none = g_byte_array_new(), any = image_new(3, 10000);

	g_assert_cmpuint(find(none), ==, 0);
	g_assert_cmpuint(find(any), ==, 0);
	for (guint i = 0; i < 20; i++) {
		g_autoptr(GByteArray) kernel = vmlinux_new(0);
		Elf64_Ehdr *head = (Elf64_Ehdr *)(gpointer)kernel->data;
		switch (i) {
		case 0:
			head->e_ident[EI_CLASS] = ELFCLASS32;
			break;
		case 1:
			head->e_machine = GUINT16_TO_LE(EM_AARCH64);
			break;
		case 2:
			head->e_shentsize = GUINT16_TO_LE(40);
			break;
		case 3:
			head->e_shstrndx = GUINT16_TO_LE(7);
			break;
		case 4:
			head->e_shoff = GUINT64_TO_LE(G_MAXUINT64 - 100);
			break;
		case 5:
			head->e_shoff = GUINT64_TO_LE(kernel->len - 100);
			break;
		case 6:
			section(kernel, 5)->sh_offset = GUINT64_TO_LE(kernel->len);
			break;
		case 7:
			section(kernel, 5)->sh_size = GUINT64_TO_LE(0);
			break;
		case 8:
			section(kernel, 5)->sh_size = GUINT64_TO_LE(G_MAXUINT64);
			break;
		case 9:
			section(kernel, 5)->sh_size = GUINT64_TO_LE(30);
			break;
		case 10:
			section(kernel, 2)->sh_name = GUINT32_TO_LE(G_MAXUINT32);
			break;
		case 11:
			section(kernel, 2)->sh_offset = GUINT64_TO_LE(G_MAXUINT64);
			break;
		case 12:
			section(kernel, 2)->sh_size = GUINT64_TO_LE(kernel->len);
			break;
		case 13:
			section(kernel, 2)->sh_offset = GUINT64_TO_LE(ALT_AT - 100);
			break;
		case 14:
			kernel->data[0] = 0;
			break;
		default:
			g_byte_array_set_size(kernel, (i - 14) * 15);
		}
		g_assert_cmpuint(find(kernel), ==, 0);
	}
}

/* What the symbols are found by is not there, or not as it should be. */
static void symbols_not_found(void)
{
	for (guint i = 0; i < 5; i++) {
		g_autoptr(GByteArray) kernel = vmlinux_new(0);
		guint8 *rodata = kernel->data + RODATA_AT;
		switch (i) {
		case 0:
			rodata[100] = 1;
			break;
		case 1:
			rodata[100 + 510] = rodata[100 + 511] = 0;
			break;
		case 2:
			rodata[100 + 512 + VMLINUX_SYMBOLS * 4] ^= 1;
			break;
		case 3:
			section(kernel, 4)->sh_size = GUINT64_TO_LE(100 + 512 + VMLINUX_SYMBOLS * 4 + 7);
			break;
		default:
			section(kernel, 1)->sh_addr = GUINT64_TO_LE(1);
		}
		g_assert_cmpuint(find(kernel), ==, 3);
	}
}

/* No more than a node takes. */
static void too_many(void)
{
	g_autoptr(GByteArray) kernel = vmlinux_new(0);
	Elf64_Ehdr *head = (Elf64_Ehdr *)(gpointer)kernel->data;
	Elf64_Shdr one = *section(kernel, 2), names = *section(kernel, 5);

	head->e_shoff = GUINT64_TO_LE((guint64)kernel->len);
	head->e_shnum = GUINT16_TO_LE(101);
	head->e_shstrndx = GUINT16_TO_LE(0);
	g_byte_array_append(kernel, (const guint8 *)&names, sizeof names);
	one.sh_size = GUINT64_TO_LE(8);
	for (guint i = 0; i < 100; i++) {
		one.sh_offset = GUINT64_TO_LE(ORC_AT + 8 * (99 - i));
		g_byte_array_append(kernel, (const guint8 *)&one, sizeof one);
	}
	g_assert_cmpuint(find(kernel), ==, PROA_STEPS_MAX_TABLES);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/vmlinux/tables-by-name", tables_by_name);
	g_test_add_func("/payload/vmlinux/steps-are-those-of-before", steps_are_those_of_before);
	g_test_add_func("/payload/vmlinux/not-a-kernel", not_a_kernel);
	g_test_add_func("/payload/vmlinux/symbols-not-found", symbols_not_found);
	g_test_add_func("/payload/vmlinux/too-many", too_many);
	return g_test_run();
}
