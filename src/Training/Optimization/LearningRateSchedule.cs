// The learning rate is a pure function of the step, so that resuming a run needs no scheduler state.
//   warm-up     peak (step + 1) / warm-up steps, then
//   cosine      peak (1 + cos(pi t)) / 2, t the share of the remaining steps that is done; Loshchilov & Hutter 2017,
//               "SGDR", equation 5
//   one-cycle   peak (1 - t): a line up and a line down; Smith & Topin 2018, "Super-Convergence"
//   constant    peak
// With a final value e, a share of the peak, schedules fall to e peak instead of 0: peak (e + (1 - e) f).
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Optimization;

/// <summary>The learning rate of a step.</summary>
internal static class LearningRateSchedule
{
    /// <summary>The learning rate of a step.</summary>
    /// <param name="kind">The schedule.</param>
    /// <param name="peak">Its largest value.</param>
    /// <param name="step">Number of steps before this one.</param>
    /// <param name="steps">Number of steps of the whole run.</param>
    /// <param name="warmUpSteps">Number of steps in which it rises from near zero.</param>
    /// <param name="end">Final value as a share of the peak.</param>
    public static double At(ScheduleKind kind, double peak, long step, long steps, long warmUpSteps = 0, double end = 0)
    {
        if (step < warmUpSteps)
            return peak * (step + 1) / warmUpSteps;
        var done = (double)(step - warmUpSteps) / Math.Max(1, steps - warmUpSteps);
        var share = kind switch
        {
            ScheduleKind.Cosine => (1 + Math.Cos(Math.PI * done)) / 2,
            ScheduleKind.OneCycle => 1 - done,
            ScheduleKind.Constant => 1,
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown schedule"),
        };
        return peak * (end + ((1 - end) * share));
    }
}
