using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

public class RequestGateTests
{
    [Fact]
    public void Requests_beyond_the_limit_are_sent_away_and_count_for_nothing()
    {
        var gate = new RequestGate(new ModelServerOptions { MaxConcurrentRequests = 2 });
        gate.Enter();
        gate.Enter();
        TensorAssert.Refused(RefusalKind.Unavailable, gate.Enter);
        Assert.Equal(2, gate.Requests);
        gate.Leave();
        gate.Enter();
    }

    [Fact]
    public void Bytes_beyond_the_limit_are_sent_away_and_count_for_nothing()
    {
        var gate = new RequestGate(new ModelServerOptions { MaxBytesInFlight = 100 });
        gate.Take(60);
        TensorAssert.Refused(RefusalKind.Unavailable, () => gate.Take(41));
        Assert.Equal(60, gate.Bytes);
        gate.Take(40);
        gate.Give(100);
        Assert.Equal(0, gate.Bytes);
    }

    [Fact]
    public void Threads_that_come_and_go_leave_nothing_behind()
    {
        var gate = new RequestGate(new ModelServerOptions { MaxConcurrentRequests = 3, MaxBytesInFlight = 10 });
        Parallel.For(0, 2000, turn =>
        {
            try
            {
                gate.Enter();
            }
            catch (RequestRefusedException)
            {
                return;
            }

            try
            {
                gate.Take(turn % 8);
                gate.Give(turn % 8);
            }
            catch (RequestRefusedException)
            {
                // had no room: what it took was given back
            }

            gate.Leave();
        });
        Assert.Equal((0, 0L), (gate.Requests, gate.Bytes));
    }
}
