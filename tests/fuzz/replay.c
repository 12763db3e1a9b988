// Runs a fuzz target once over files, or over every file of the folders named on the command line.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    int ret = -1;

    if (!file)
        goto out;
    if (fseek(file, 0, SEEK_END))
        goto out;
    long size = ftell(file);
    if (size < 0)
        goto out;
    rewind(file);
    data = malloc((size_t)size + 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
        goto out;
    // An exact block, so that a sanitizer sees a read past the end of the input.
    uint8_t *exact = realloc(data, size ? (size_t)size : 1);
    if (exact)
        data = exact;
    LLVMFuzzerTestOneInput(data, (size_t)size);
    ret = 0;
out:
    if (ret)
        perror(path);
    free(data);
    if (file)
        fclose(file);
    return ret;
}

static int run_folder(const char *path, long *ran)
{
    DIR *dir = opendir(path);
    int failed = 0;

    if (!dir) {
        perror(path);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        char *file = NULL;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
            abort();
        failed += run_file(file) != 0;
        ++*ran;
        free(file);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    long ran = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            failed += run_folder(argv[i], &ran);
            continue;
        }
        failed += run_file(argv[i]) != 0;
        ran++;
    }
    if (!ran) {
        fprintf(stderr, "no input: a fuzz target needs seeds\n");
        return 1;
    }
    return failed ? 1 : 0;
}
