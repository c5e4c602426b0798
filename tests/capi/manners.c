/* The caller's process is left as it was: manners PATH UUID. Reads, and changes with XAPI, while signals come. */

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t alarms, held_back;

/* Comes at any moment, also in the middle of a change. */
static void on_alarm(int signal, siginfo_t *info, void *interrupted)
{
    const ucontext_t *context = (const ucontext_t *)interrupted;
    (void)signal;
    (void)info;
    alarms++;
    held_back += sigismember(&context->uc_sigmask, SIGTERM) || sigismember(&context->uc_sigmask, SIGINT);
}

/* How many entries a folder of /proc has. */
static int entries(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

struct process {
    struct sigaction actions[32];
    sigset_t mask;
    mode_t umask;
    char locale[64];
    char directory[512];
    int threads, descriptors;
    off_t printed;
};

static struct process look(void)
{
    struct process now;
    int signal;
    memset(&now, 0, sizeof now);
    for (signal = 1; signal < 32; signal++)
        sigaction(signal, NULL, &now.actions[signal]);
    pthread_sigmask(SIG_BLOCK, NULL, &now.mask);
    now.umask = umask(0);
    umask(now.umask);
    snprintf(now.locale, sizeof now.locale, "%s", setlocale(LC_ALL, NULL));
    CHECK(getcwd(now.directory, sizeof now.directory) != NULL);
    now.threads = entries("/proc/self/task");
    now.descriptors = entries("/proc/self/fd");
    now.printed = lseek(STDERR_FILENO, 0, SEEK_CUR);
    return now;
}

static void same(const struct process *before)
{
    struct process now = look();
    int signal;
    for (signal = 1; signal < 32; signal++)
        CHECK(now.actions[signal].sa_handler == before->actions[signal].sa_handler &&
              now.actions[signal].sa_flags == before->actions[signal].sa_flags);
    for (signal = 1; signal < 32; signal++)
        CHECK(sigismember(&now.mask, signal) == sigismember(&before->mask, signal));
    CHECK(now.umask == before->umask && now.threads == before->threads && now.printed == before->printed);
    CHECK(strcmp(now.locale, before->locale) == 0 && strcmp(now.directory, before->directory) == 0);
}

/* How many descriptors would be handed to a program that the process becomes. */
static int open_after_exec(void)
{
    int fd, count = 0;
    for (fd = 0; fd < 200; fd++) {
        int flags = fcntl(fd, F_GETFD);
        count += flags != -1 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

/* A child can neither use its parent's handle nor spoil it, and has its own. */
static void in_a_child(struct vgpu_db *db, const char *path, const char *uuid)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        struct vgpu_vm_config vm = sized_vm();
        struct vgpu_db *own;
        CHECK(vgpu_get_vm_config(db, uuid, &vm) == VGPU_FORKED);
        CHECK(vgpu_set_pool(db, uuid, 'B', NULL) == VGPU_FORKED);
        CHECK(strcmp(vgpu_last_message(db), vgpu_strerror(VGPU_FORKED)) == 0);
        CHECK(vgpu_db_close(db) == VGPU_OK);
        IS_OK(NULL, vgpu_db_init(path, VGPU_OPEN_DATABASE_ONLY, &own));
        IS_OK(own, vgpu_get_vm_config(own, uuid, &vm));
        CHECK(vgpu_db_close(own) == VGPU_OK);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static int visit(const struct vgpu_vm_config *vm, void *context)
{
    (void)vm;
    same((const struct process *)context);
    return 0;
}

int main(int argc, char **argv)
{
    struct process before;
    struct sigaction action;
    struct itimerval every_millisecond = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    struct vgpu_db *db;
    struct vgpu_vm_config vm = sized_vm();
    struct vgpu_change change = sized_change();
    int fd, round, handed_on = open_after_exec();
    CHECK(argc == 3 && setlocale(LC_ALL, "C.UTF-8") != NULL);
    umask(0);
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_alarm;
    /* Without SA_RESTART: system calls are interrupted. */
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGALRM, &action, NULL);
    before = look();
    setitimer(ITIMER_REAL, &every_millisecond, NULL);
    IS_OK(NULL, vgpu_db_init(argv[1], 0, &db));
    same(&before);
    IS_OK(db, vgpu_db_descriptor(db, &fd));
    for (round = 0; round < 10; round++) {
        IS_OK(db, vgpu_set_priority(db, argv[2], round % 3, &change));
        CHECK(change.xapi == VGPU_XAPI_WRITTEN);
        IS_OK(db, vgpu_get_vm_config(db, argv[2], &vm));
        CHECK(vm.priority == round % 3);
        IS_OK(db, vgpu_list_vms(db, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, visit, &before));
        same(&before);
    }
    IS_OK(db, vgpu_db_check(db, NULL, NULL));
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(alarms > 10 && held_back == 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(open_after_exec() == handed_on && look().descriptors > before.descriptors);
    in_a_child(db, argv[1], argv[2]);
    IS_OK(db, vgpu_set_pool(db, argv[2], 'B', NULL));
    CHECK(vgpu_db_close(db) == VGPU_OK);
    same(&before);
    CHECK(look().descriptors == before.descriptors);
    printf("done\n");
    return 0;
}
