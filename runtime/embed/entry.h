/* The functions of a compiled object but for their types: what NAME_infer, NAME_train_step and NAME_init_params call.
 * Included by the one C file of a compiled object. */
#pragma once

#include "runtime/embed/init.h"
#include "runtime/embed/run.h"
#include "runtime/embed/state.h"

/* A tensor that the caller passes: which port of the program it is. */
typedef struct gradc_pass {
  int32_t port;
  size_t alignment;
  int64_t classes; /* of a label: values are 0 .. classes - 1; 0: any */
} gradc_pass;

typedef struct gradc_scalar {
  int32_t argument;
  size_t bytes;
  const void *value;
} gradc_scalar;

/* One function of the model for several batch sizes. */
typedef struct gradc_function {
  const gradc_unit *units;
  size_t num_units, workspace;
  const gradc_pass *inputs, *outputs;
  size_t num_inputs, num_outputs, num_args, num_results;
} gradc_function;

typedef struct gradc_memory {
  void *params, *state, *workspace;
  size_t workspace_bytes;
  const gradc_parallel *parallel;
} gradc_memory;

static gradc_status gradc_check_block(const void *block, size_t bytes, size_t needed) {
  if (needed == 0)
    return GRADC_OK;
  if (!block)
    return GRADC_E_NULL;
  return !gradc_aligned(block, GRADC_ALIGNMENT) ? GRADC_E_ALIGN : bytes < needed ? GRADC_E_SIZE : GRADC_OK;
}

static gradc_status gradc_check_passed(const gradc_pass *passes, size_t count, const void *const *data) {
  for (size_t i = 0; i < count; ++i)
    if (!data[i])
      return GRADC_E_NULL;
  for (size_t i = 0; i < count; ++i)
    if (!gradc_aligned(data[i], passes[i].alignment))
      return GRADC_E_ALIGN;
  return GRADC_OK;
}

static gradc_status gradc_check_memory(const gradc_function *function, const gradc_memory *memory) {
  if (memory->parallel && !memory->parallel->run)
    return GRADC_E_NULL;
  return gradc_check_block(memory->workspace, memory->workspace_bytes, function->workspace);
}

static int64_t gradc_label(const void *labels, int32_t dtype, size_t at) {
  switch (dtype) {
  case GRADC_I8: return ((const int8_t *)labels)[at];
  case GRADC_U8: return ((const uint8_t *)labels)[at];
  case GRADC_I32: return ((const int32_t *)labels)[at];
  default: return ((const int64_t *)labels)[at];
  }
}

/* Labels are integers; the number of values in one example is 1. */
static gradc_status gradc_check_labels(const gradc_function *function, const void *const *inputs, size_t n) {
  for (size_t i = 0; i < function->num_inputs; ++i) {
    const gradc_pass *pass = &function->inputs[i];
    const gradc_port *port = &function->units[0].program->args[pass->port];
    const size_t count =
        pass->classes > 0 ? n * (gradc_example_bytes(port) / gradc_element_size(port->dtype)) : 0;
    for (size_t k = 0; k < count; ++k) {
      const int64_t label = gradc_label(inputs[i], port->dtype, k);
      if (label < 0 || label >= pass->classes)
        return GRADC_E_INDEX;
    }
  }
  return GRADC_OK;
}

static gradc_frame gradc_frame_of(const gradc_unit *unit, const gradc_memory *memory, void **args,
                                  void **results) {
  gradc_frame frame;
  frame.unit = unit;
  frame.params = (char *)memory->params;
  frame.state = (char *)memory->state;
  frame.workspace = (char *)memory->workspace;
  frame.args = args;
  frame.results = results;
  frame.threads = gradc_threads(unit, memory->workspace_bytes, memory->parallel);
  frame.parallel = memory->parallel;
  return frame;
}

static size_t gradc_infer_piece(const gradc_function *function, const gradc_unit *unit, size_t rows,
                                size_t done, const void *const *inputs, void *const *outputs,
                                const gradc_memory *memory) {
  void *args[GRADC_MAX_PORTS] = {0}, *results[GRADC_MAX_PORTS] = {0};
  gradc_frame frame = gradc_frame_of(unit, memory, args, results);
  for (size_t i = 0; i < function->num_inputs; ++i) {
    const int32_t port = function->inputs[i].port;
    const char *from = (const char *)inputs[i] + done * gradc_example_bytes(&unit->program->args[port]);
    args[port] = gradc_feed(&frame, port, from, rows);
  }
  for (size_t pass = 0; pass < 2; ++pass) { /* before the run and after it */
    for (size_t i = 0; i < function->num_outputs; ++i) {
      const int32_t port = function->outputs[i].port;
      char *to = (char *)outputs[i] + done * gradc_example_bytes(&unit->program->results[port]);
      if (pass == 0)
        results[port] = gradc_direct(&frame, port, to, rows);
      else
        gradc_take(&frame, port, to, rows);
    }
    if (pass == 0)
      gradc_run(&frame);
  }
  return rows;
}

/* All n examples, in pieces of the sizes that there are. */
static gradc_status gradc_infer(const gradc_function *function, size_t n, const void *const *inputs,
                                void *const *outputs, const gradc_memory *memory) {
  gradc_status status = gradc_check_passed(function->inputs, function->num_inputs, inputs);
  if (status == GRADC_OK)
    status = gradc_check_passed(function->outputs, function->num_outputs, (const void *const *)outputs);
  if (status == GRADC_OK)
    status = gradc_check_memory(function, memory);
  if (status == GRADC_OK && n == 0)
    status = GRADC_E_SIZE;
  if (status == GRADC_OK)
    status = gradc_check_labels(function, inputs, n);
  for (size_t done = 0; status == GRADC_OK && done < n;) {
    const gradc_unit *unit = gradc_choose(function->units, function->num_units, n - done);
    const size_t rows = n - done < (size_t)unit->batch ? n - done : (size_t)unit->batch;
    done += gradc_infer_piece(function, unit, rows, done, inputs, outputs, memory);
  }
  return status;
}

static const gradc_unit *gradc_unit_of(const gradc_function *function, size_t n) {
  for (size_t i = 0; i < function->num_units; ++i)
    if ((size_t)function->units[i].batch == n)
      return &function->units[i];
  return 0;
}

static void gradc_drop_tiny_state(const gradc_tensor *slots, size_t num_slots, char *state) {
  for (size_t i = 0; i < num_slots; ++i)
    gradc_drop_tiny((float *)(void *)(state + slots[i].offset), slots[i].bytes / sizeof(float));
}

/* One step over exactly the n examples of a unit. `values` gets the scalar results, loss first. */
static gradc_status gradc_step_once(const gradc_function *function, size_t n, const void *const *inputs,
                                    const gradc_scalar *scalars, size_t num_scalars, float *values,
                                    uint64_t step, const gradc_tensor *slots, size_t num_slots,
                                    const gradc_memory *memory) {
  void *args[GRADC_MAX_PORTS] = {0}, *results[GRADC_MAX_PORTS] = {0};
  const gradc_unit *unit = gradc_unit_of(function, n);
  gradc_frame frame;
  gradc_status status = gradc_check_passed(function->inputs, function->num_inputs, inputs);
  if (status == GRADC_OK)
    status = gradc_check_memory(function, memory);
  if (status == GRADC_OK && !unit)
    status = GRADC_E_BATCH;
  if (status == GRADC_OK)
    status = gradc_check_labels(function, inputs, n);
  if (status != GRADC_OK)
    return status;
  if (gradc_drops_before(step))
    gradc_drop_tiny_state(slots, num_slots, (char *)memory->state);
  frame = gradc_frame_of(unit, memory, args, results);
  for (size_t i = 0; i < function->num_inputs; ++i)
    args[function->inputs[i].port] = gradc_feed(&frame, function->inputs[i].port, inputs[i], n);
  for (size_t i = 0; i < num_scalars; ++i)
    gradc_copy(frame.workspace + unit->args[scalars[i].argument], scalars[i].value, scalars[i].bytes);
  gradc_run(&frame);
  for (size_t i = 0; i < function->num_outputs; ++i)
    gradc_copy(&values[i], frame.workspace + unit->results[function->outputs[i].port], sizeof values[i]);
  return values[0] - values[0] == 0 ? GRADC_OK : GRADC_E_NONFINITE;
}

static void gradc_init_tensor(char *block, const gradc_tensor *tensor, const gradc_init_rule *rule,
                              uint64_t seed) {
  float *values = (float *)(void *)(block + tensor->offset);
  for (size_t i = 0; i < tensor->bytes / sizeof(float); ++i)
    values[i] = gradc_init_value(rule, seed, i);
}
