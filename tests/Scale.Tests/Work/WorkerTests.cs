using System.Reflection;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

public class WorkerTests
{
    [Fact(Timeout = 60_000)]
    public async Task An_idle_worker_that_is_stopped_leaves_though_its_coordinator_never_answers()
    {
        await using var runner = new DirectRunner();
        using var stop = new CancellationTokenSource();
        var worker = new Worker(
            DispatchProxy.Create<IGrainFactory, Unanswered>(),
            runner,
            new WorkerOptions("w", 1, WorkerProcess.Version)
        );
        var running = worker.Run(stop.Token);
        Assert.False(running.IsCompleted);
        await stop.CancelAsync();
        await running.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, worker.Done);
    }

    /// <summary>Grains that never answer.</summary>
    public class Unanswered : DispatchProxy
    {
        /// <inheritdoc/>
        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            var type = targetMethod!.ReturnType;
            return type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Task<>)
                ? typeof(Unanswered)
                    .GetMethod(nameof(Never), BindingFlags.NonPublic | BindingFlags.Static)!
                    .MakeGenericMethod(type.GetGenericArguments())
                    .Invoke(null, null)
                : Create(type, typeof(Unanswered));
        }

        private static Task<T> Never<T>() => new TaskCompletionSource<T>().Task;
    }
}
