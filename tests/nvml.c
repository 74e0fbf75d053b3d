/* A driver's library without a driver: the functions of NVML that Aurum calls, for two GPUs and one that does not answer.
   Prototypes as in NVIDIA's `nvml.h`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int nvmlReturn_t;
typedef struct device { const char *name; unsigned long long total, used; unsigned int busy; int broken; } *nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;

static struct device devices[] = {
    {"NVIDIA A100-SXM4-40GB", 42949672960ULL, 1073741824ULL, 37, 0},
    {"NVIDIA Broken", 1, 1, 1, 1},
    {"NVIDIA T4", 16106127360ULL, 2147483648ULL, 5, 0},
};
static int begun;

/* What is called is told to whoever asked. */
static void tell(const char *what)
{
    const char *path = getenv("FAKE_NVML_CALLS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", what);
        fclose(file);
    }
}

nvmlReturn_t nvmlInit_v2(void)
{
    tell("init");
    if (getenv("FAKE_NVML_BROKEN"))
        return 9; /* NVML_ERROR_DRIVER_NOT_LOADED */
    begun++;
    return 0;
}

nvmlReturn_t nvmlShutdown(void) { tell("shutdown"); begun--; return 0; }

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    if (!begun)
        return 1;
    snprintf(version, length, "550.54.14");
    return 0;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) { *count = 3; return begun ? 0 : 1; }

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (!begun || index >= 3)
        return 2;
    *device = &devices[index];
    return 0;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    if (strlen(device->name) >= length)
        return 7;
    strcpy(name, device->name);
    return 0;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    if (device->broken)
        return 15; /* NVML_ERROR_GPU_IS_LOST */
    memory->total = device->total;
    memory->used = device->used;
    memory->free = device->total - device->used;
    return 0;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    if (device->broken)
        return 15;
    utilization->gpu = device->busy;
    utilization->memory = 1;
    return 0;
}
