/* Locks a file against all other programs until its standard input ends: hold FILE */

#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct flock whole = {0};
    int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
    whole.l_type = F_WRLCK;
    if (fd < 0 || fcntl(fd, F_SETLK, &whole) != 0) {
        perror("hold");
        return 1;
    }
    printf("held\n");
    fflush(stdout);
    getchar();
    return 0;
}
