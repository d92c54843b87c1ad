/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/fetch.h"

#include "base/file.h"
#include "base/json.h"
#include "updater/fetch/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The helper's report is one line; what is longer was not written by it. Bytes. */
#define MAX_REPORT 4096
#define PIPE_SIZE (256 * 1024)
#define HTTP_NOT_MODIFIED 304
/* One that has closed its output has nothing more to do than to end. Seconds. */
#define END_SECONDS 10
/* A longer entity tag is none: proa-fetch(8) takes no longer one. */
#define MAX_ETAG 256

typedef struct {
	ProaStream stream;
	const ProaFetch *fetch;
	char *url;
	GPid pid; /* 0 once it was waited for */
	int out_fd, report_fd;
	char *known_etag; /* asked for only if it is no longer this one; NULL: asked for in any case */
	/* What the helper reported, once the end was met. */
	gint64 status;
	char *etag;
} FetchStream;

/* Who the helper becomes; looked up before the fork. */
typedef struct {
	gboolean change;
	uid_t uid;
	gid_t gid;
} Identity;

static Identity find_identity(void)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(PROA_FETCH_USER) : NULL;

	return user ? (Identity){ TRUE, user->pw_uid, user->pw_gid } : (Identity){ 0 };
}

/* In the child, between fork and exec: system calls only. */
static void become(gpointer data)
{
	const Identity *identity = data;
	sigset_t none;

	/* The caller may wait for signals with them blocked. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (identity->change &&
		(setgroups(0, NULL) < 0 || setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
			setresuid(identity->uid, identity->uid, identity->uid) < 0))
		_exit(PROA_EXIT_FAILED);
	/* After the change of user, which would take it back: no transfer outlives its transaction. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Nothing of the caller's environment but proxies and certificates. */
static char **helper_environment(void)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
		"ALL_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR" };
	g_auto(GStrv) environment = g_environ_setenv(NULL, "LC_ALL", "C.UTF-8", TRUE);

	for (guint i = 0; i < G_N_ELEMENTS(kept); i++) {
		const char *value = g_getenv(kept[i]);
		if (value)
			environment = g_environ_setenv(g_steal_pointer(&environment), kept[i], value, TRUE);
	}
	return g_steal_pointer(&environment);
}

static void add_number(GPtrArray *argv, const char *option, guint64 value)
{
	if (value == 0)
		return;
	g_ptr_array_add(argv, g_strdup(option));
	g_ptr_array_add(argv, g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

/* @text in a file that is in memory only, to be read from its start; -1 on failure. */
static int text_fd(const char *text, GError **error)
{
	PROA_AUTO_FD int fd = memfd_create("proa-ranges", MFD_CLOEXEC);

	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "making a file in memory");
		return -1;
	}
	if (!proa_write_all(fd, text, strlen(text), error))
		return -1;
	return lseek(fd, 0, SEEK_SET) == 0 ? proa_steal_fd(&fd) : -1;
}

/* @ranges: what the helper reads on standard input; NULL: nothing. */
static gboolean start_helper(FetchStream *self, GPtrArray *argv, const char *ranges, GError **error)
{
	Identity identity = find_identity();
	g_auto(GStrv) environment = helper_environment();
	g_autoptr(GError) inner = NULL;

	PROA_AUTO_FD int in_fd = ranges ? text_fd(ranges, error) : -1;
	if (ranges && in_fd < 0)
		return FALSE;
	if (!g_spawn_async_with_pipes_and_fds("/", (const char *const *)argv->pdata,
		    (const char *const *)environment, G_SPAWN_DO_NOT_REAP_CHILD, become, &identity, in_fd, -1,
		    -1, NULL, NULL, 0, &self->pid, NULL, &self->out_fd, &self->report_fd, &inner))
		return proa_fail(error, PROA_REASON_IO, "starting %s: %s", (const char *)argv->pdata[0],
			inner->message);
	/* Room to go on while the disk is busy; a smaller pipe works too. */
	(void)fcntl(self->out_fd, F_SETPIPE_SZ, PIPE_SIZE);
	return TRUE;
}

/* What the helper wrote to standard error, up to its end, if that comes before @deadline. */
static char *read_report(FetchStream *self, gint64 deadline)
{
	g_autofree char *text = g_malloc0(MAX_REPORT + 1);
	GPollFD fd = { .fd = self->report_fd, .events = G_IO_IN };
	gsize have = 0;

	while (have < MAX_REPORT) {
		gint64 left = deadline - g_get_monotonic_time();
		int r = left > 0 ? g_poll(&fd, 1, (int)(left / 1000) + 1) : 0;
		gssize n = r > 0 ? read(self->report_fd, text + have, MAX_REPORT - have) : r;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (gsize)n;
	}
	return g_steal_pointer(&text);
}

/* One that has not ended by @deadline is ended. */
static int wait_for_helper(FetchStream *self, gint64 deadline)
{
	int status = 0;
	pid_t ended = 0;

	while (self->pid > 0 && (ended == 0 || (ended < 0 && errno == EINTR))) {
		if (g_get_monotonic_time() >= deadline)
			kill(self->pid, SIGKILL);
		ended = waitpid(self->pid, &status, WNOHANG);
		if (ended == 0)
			g_usleep(1000);
	}
	self->pid = 0;
	return status;
}

/* Whether the helper can be given it as it is; a server, or a helper gone wrong, may say anything. */
static gboolean is_etag(const char *text)
{
	gsize size = text ? strlen(text) : 0;

	for (gsize i = 0; i < size; i++)
		if (!g_ascii_isgraph(text[i]))
			return FALSE;
	return size > 0 && size <= MAX_ETAG;
}

/* For terminals and logs. @text is UTF-8. */
static char *without_controls(const char *text)
{
	GString *clean = g_string_new(NULL);

	for (; *text; text = g_utf8_next_char(text)) {
		gunichar c = g_utf8_get_char(text);
		g_string_append_unichar(clean, g_unichar_iscntrl(c) ? ' ' : c);
	}
	return g_string_free(clean, FALSE);
}

/* The body has ended: was it the whole of it? */
static gboolean judge_end(FetchStream *self, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + END_SECONDS * G_USEC_PER_SEC;
	g_autofree char *text = read_report(self, deadline);
	int status = wait_for_helper(self, deadline);
	g_autoptr(JsonObject) report =
		proa_json_parse(text, strlen(text), "the report of proa-fetch", PROA_REASON_INTERNAL, NULL);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && report) {
		self->status = proa_json_int_or(report, "status", 0);
		const char *etag = proa_json_string_or(report, "etag", NULL);
		self->etag = is_etag(etag) ? g_strdup(etag) : NULL;
		if (self->status == HTTP_NOT_MODIFIED && !self->known_etag)
			return proa_fail(
				error, PROA_REASON_FEED_ERROR, "%s: the server answered 304", self->url);
		return TRUE;
	}
	if (WIFSIGNALED(status))
		return proa_fail(error, PROA_REASON_TRANSFER_INTERRUPTED,
			"%s: proa-fetch was ended by signal %d", self->url, WTERMSIG(status));
	g_autofree char *valid = g_utf8_make_valid(
		report ? proa_json_string_or(report, "message", "failed") : g_strchomp(text), -1);
	g_autofree char *message = without_controls(valid);
	if (!report)
		return proa_fail(error, PROA_REASON_INTERNAL, "%s: proa-fetch ended with status %d: %s",
			self->url, WEXITSTATUS(status), message);

	ProaReason reason = proa_reason_from_string(proa_json_string_or(report, "reason", ""));
	if (reason == PROA_REASON_MAX)
		reason = PROA_REASON_INTERNAL;
	return proa_fail(error, reason, "%s: %s", self->url, message);
}

static gboolean wait_readable(FetchStream *self, GError **error)
{
	GCancellable *cancellable = self->fetch->cancellable;
	GPollFD fds[2] = { { .fd = self->out_fd, .events = G_IO_IN } };
	guint n = 1;

	if (cancellable && g_cancellable_make_pollfd(cancellable, &fds[1]))
		n = 2;
	int r;
	do
		r = g_poll(fds, n, -1);
	while (r < 0 && errno == EINTR);
	if (n == 2)
		g_cancellable_release_fd(cancellable);
	if (r < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "waiting for %s", self->url);
	if (cancellable && g_cancellable_is_cancelled(cancellable))
		return proa_fail(error, PROA_REASON_CANCELLED, "%s: cancelled", self->url);
	return TRUE;
}

static gssize fetch_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	FetchStream *self = (FetchStream *)stream;

	if (self->pid == 0)
		return 0; /* the end was met before */
	for (;;) {
		if (!wait_readable(self, error))
			return -1;
		gssize n = read(self->out_fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			proa_fail_errno(error, PROA_REASON_IO, errno, "reading from proa-fetch");
			return -1;
		}
		if (n == 0)
			return judge_end(self, error) ? 0 : -1;
		return n;
	}
}

static void fetch_close(ProaStream *stream)
{
	FetchStream *self = (FetchStream *)stream;

	proa_close_fd(&self->out_fd);
	proa_close_fd(&self->report_fd);
	/* At once, whatever it does with signals: it has nothing to put in order. */
	wait_for_helper(self, 0);
	g_free(self->url);
	g_free(self->known_etag);
	g_free(self->etag);
	g_free(self);
}

/* The command line, up to what is fetched. */
static GPtrArray *helper_arguments(const ProaFetch *fetch)
{
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(argv, g_strdup(fetch->helper ? fetch->helper : PROA_FETCH_HELPER));
	add_number(argv, "--connect-timeout", (guint64)fetch->connect_timeout);
	add_number(argv, "--max-speed", (guint64)fetch->max_speed);
	add_number(argv, "--retries", fetch->retries);
	add_number(argv, "--retry-delay", (guint64)fetch->retry_delay);
	if (fetch->low_speed_seconds > 0) {
		g_ptr_array_add(argv, g_strdup("--low-speed"));
		g_ptr_array_add(argv, g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT,
					      fetch->low_speed_bytes, fetch->low_speed_seconds));
	}
	return argv;
}

static FetchStream *open_stream(const ProaFetch *fetch, GPtrArray *argv, const char *url, const char *ranges,
	const char *known_etag, GError **error)
{
	static const ProaStreamKind kind = { fetch_read, fetch_close };
	FetchStream *self = g_new0(FetchStream, 1);

	if (is_etag(known_etag)) {
		g_ptr_array_add(argv, g_strdup("--if-none-match"));
		g_ptr_array_add(argv, g_strdup(known_etag));
	}
	g_ptr_array_add(argv, g_strdup("--"));
	g_ptr_array_add(argv, g_strdup(url));
	g_ptr_array_add(argv, NULL);
	self->stream.kind = &kind;
	self->fetch = fetch;
	self->url = g_strdup(url);
	self->known_etag = is_etag(known_etag) ? g_strdup(known_etag) : NULL;
	self->out_fd = self->report_fd = -1;
	if (!start_helper(self, argv, ranges, error)) {
		fetch_close(&self->stream);
		return NULL;
	}
	return self;
}

/* @known_etag may be NULL. */
static FetchStream *open_one(const ProaFetch *fetch, const char *url, guint64 offset, guint64 length,
	guint64 max_bytes, const char *known_etag, GError **error)
{
	g_autoptr(GPtrArray) argv = helper_arguments(fetch);

	add_number(argv, "--offset", offset);
	add_number(argv, "--length", length);
	add_number(argv, "--max-bytes", max_bytes);
	return open_stream(fetch, argv, url, NULL, known_etag, error);
}

ProaStream *proa_fetch_open(const ProaFetch *fetch, const char *url, guint64 offset, guint64 length,
	guint64 max_bytes, GError **error)
{
	FetchStream *self = open_one(fetch, url, offset, length, max_bytes, NULL, error);

	return self ? &self->stream : NULL;
}

ProaStream *proa_fetch_open_ranges(
	const ProaFetch *fetch, const char *url, const ProaByteRange *ranges, guint n, GError **error)
{
	g_autoptr(GPtrArray) argv = helper_arguments(fetch);
	g_autofree char *text = proa_ranges_format(ranges, n);
	guint64 total = 0;

	g_assert(n > 0);
	for (guint i = 0; i < n; i++)
		total += ranges[i].length;
	g_ptr_array_add(argv, g_strdup("--ranges"));
	add_number(argv, "--max-bytes", total);
	FetchStream *self = open_stream(fetch, argv, url, text, NULL, error);

	return self ? &self->stream : NULL;
}

/* All that comes out of a stream, at most @max_bytes. */
static GBytes *read_to_end(ProaStream *stream, const char *url, gsize max_bytes, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	guint8 chunk[16384];
	gssize n = 0;

	while ((n = proa_stream_read(stream, chunk, sizeof chunk, error)) > 0) {
		/* The helper holds to the limit; it is not trusted to. */
		if ((gsize)n > max_bytes - bytes->len) {
			proa_fail(error, PROA_REASON_TOO_LARGE, "%s: more than %" G_GSIZE_FORMAT " bytes",
				url, max_bytes);
			return NULL;
		}
		g_byte_array_append(bytes, chunk, (guint)n);
	}
	return n < 0 ? NULL : g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

GBytes *proa_fetch_bytes(const ProaFetch *fetch, const char *url, gsize max_bytes, GError **error)
{
	g_autoptr(ProaStream) stream = proa_fetch_open(fetch, url, 0, 0, max_bytes, error);

	return stream ? read_to_end(stream, url, max_bytes, error) : NULL;
}

gboolean proa_fetch_if_changed(const ProaFetch *fetch, const char *url, gsize max_bytes, char **etag,
	GBytes **ret_bytes, GError **error)
{
	FetchStream *self = open_one(fetch, url, 0, 0, max_bytes, *etag, error);
	g_autoptr(ProaStream) stream = self ? &self->stream : NULL;
	g_autoptr(GBytes) bytes = stream ? read_to_end(stream, url, max_bytes, error) : NULL;

	if (!bytes)
		return FALSE;
	if (self->status == HTTP_NOT_MODIFIED)
		return TRUE;
	g_free(*etag);
	*etag = g_steal_pointer(&self->etag);
	*ret_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

char *proa_fetch_url(const char *base, const char *path)
{
	g_autofree char *escaped = g_uri_escape_string(path, "/!$&'()*+,;=:@", FALSE);
	gsize length = strlen(base);

	while (length > 0 && base[length - 1] == '/')
		length--;
	return g_strdup_printf("%.*s/%s", (int)length, base, escaped);
}
